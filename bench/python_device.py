"""A device on the AWS IoT Device SDK for Python: it receives the deltas of the shadow, does a command, and reports it done.

It stores no state, and neither expires commands nor renews its certificate.
"""

import sys
from pathlib import Path

from awscrt import mqtt
from awsiot import iotshadow, mqtt_connection_builder

import json

folder = Path(sys.argv[1])
told = json.loads((folder / "connection.json").read_text())
thing = told["thingName"]
connection = mqtt_connection_builder.mtls_from_path(
    endpoint=told["endpoint"],
    port=told["port"],
    cert_filepath=str(folder / told["certificate"]),
    pri_key_filepath=str(folder / told["privateKey"]),
    ca_filepath=str(folder / told["rootCas"][0]),
    client_id=told["clientId"],
    clean_session=True,
    keep_alive_secs=30,
)
connection.connect().result(30)
shadow = iotshadow.IotShadowClient(connection)


def delta(event):
    command = event.state.get("command")
    if command and "id" in command:
        answer = {"id": command["id"], "status": "done", "detail": ""}
        state = iotshadow.ShadowState(reported={"command": answer})
        request = iotshadow.UpdateShadowRequest(thing_name=thing, state=state)
        shadow.publish_update_shadow(request, mqtt.QoS.AT_LEAST_ONCE)


asked = iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=thing)
subscribed, _ = shadow.subscribe_to_shadow_delta_updated_events(asked, mqtt.QoS.AT_LEAST_ONCE, delta)
subscribed.result(30)
print("connected", flush=True)
sys.stdin.read()
