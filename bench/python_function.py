"""The function in Python: it relays the same command, with boto3 and without any check."""

import json
import os
import time
import urllib.request

import boto3

shadows = boto3.client("iot-data")
profiles = {}


def profile(token):
    if token not in profiles:
        request = urllib.request.Request(os.environ["LWA_ENDPOINT"] + "/user/profile", headers={"Authorization": "Bearer " + token})
        profiles[token] = json.load(urllib.request.urlopen(request, timeout=3))
    return profiles[token]


def handler(event, context):
    slots = event["request"]["intent"]["slots"]
    profile(event["context"]["System"]["user"]["accessToken"])
    now = int(time.time())
    command = {
        "id": event["request"]["requestId"],
        "name": "print",
        "args": {"model": slots["model"]["value"]},
        "issuedAt": now,
        "expiresAt": now + 3600,
    }
    payload = json.dumps({"state": {"desired": {"command": command}}})
    shadows.update_thing_shadow(thingName=os.environ["THING_NAME"], payload=payload)
    return {"version": "1.0", "response": {"outputSpeech": {"type": "PlainText", "text": "Printing."}, "shouldEndSession": True}}
