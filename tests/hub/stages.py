"""The environments of the table: the hub, and ministack with AUTH=true. In each of them Ada and Bob have a thing and a
certificate: on the hub in each of the ways to register, on ministack by Amazon's SDK, or as given by a test of the Lambda
function."""

import atexit
import itertools
import json
import os
import re
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.x509.oid import ExtendedKeyUsageOID

from registration import BESIDE_A_MAIL, policy
from forge import DAY, NAME, fingerprint, forge, name, subject_of
from hub import Bundle, Hub, eventually
from speaker import LIMIT, Speaker

ROOT = Path(__file__).resolve().parents[2]
UPDATED = ["update/accepted", "update/documents"]
TOPICS = [*UPDATED, "update/delta", "update/rejected", "get/accepted", "get/rejected", "delete/accepted", "delete/rejected"]


def topic(thing, rest):
    return f"$aws/things/{thing}/shadow/{rest}"


class Stage:
    """Two things. Bob is subscribed to all topics of his shadow throughout, and the test knows every message that he may receive."""

    beats = itertools.count(1)
    ada: Bundle
    bob: Bundle

    def raise_the_curtain(self):
        self.bobs = Speaker(self.bob, "5").connected()
        self.bobs.listens(*[topic(self.bob.thing, rest) for rest in TOPICS])
        for bundle in (self.ada, self.bob):
            topics = [topic(bundle.thing, rest) for rest in UPDATED]
            speaker = self.bobs if bundle is self.bob else Speaker(bundle, "5").connected().listens(*topics)
            speaker.publish(topic(bundle.thing, "update"), {"state": {"reported": {"beat": 0}}})
            for name in topics:
                speaker.receive(name)
            if bundle is self.ada:
                speaker.leave()
        self.known = self.document(self.bob.thing)
        self.adas = self.document(self.ada.thing)["state"]

    def bob_is_untouched(self):
        """Updates Bob's shadow. Requires that Bob receives the responses and nothing else, and that nothing else has changed."""
        assert self.bobs.is_connected(), f"Bob's connection has ended: {self.bobs.end}"
        beat, bob = next(self.beats), self.bob.thing
        assert self.bobs.publish(topic(bob, "update"), {"state": {"reported": {"beat": beat}}, "clientToken": str(beat)}) == "ok"
        accepted, _documents = (
            self.bobs.receive(topic(bob, rest), lambda payload: payload.get("clientToken") == str(beat)) for rest in UPDATED
        )
        heard, self.bobs.messages = self.bobs.messages, []
        assert heard == [], f"Bob has received unexpected messages: {heard}"
        document = self.document(bob)
        known, self.known = self.known, document
        known["state"]["reported"]["beat"] = beat
        assert document["state"] == known["state"]
        assert document["version"] == accepted["version"] == known["version"] + 1

    def ada_has_heard_nothing(self, speaker):
        """Gets Ada's shadow, in the same session. Requires that Ada receives nothing else, and that her shadow is unchanged."""
        own = topic(self.ada.thing, "get/accepted")
        if not speaker.is_connected():
            earlier = speaker.messages
            speaker = Speaker(self.ada, speaker.version, keeps=True, fresh=False).connected()
            speaker.messages[:0] = earlier
        assert speaker.publish(topic(self.ada.thing, "get"), "") == "ok"
        answer = speaker.receive(own)
        heard = list(speaker.messages)
        speaker.leave()
        assert heard == [], f"Ada has received unexpected messages: {heard}"
        assert answer["state"] == self.adas, "Ada's shadow has changed"

    def ada_has_lost_her_shadow(self, speaker):
        """Requires that a listed gap exists: the shadow has changed. Restores the shadow."""
        assert self.document(self.ada.thing)["state"] != self.adas, "the gap no longer exists"
        mended = {"state": {"desired": None, "reported": {"broken": None}}}
        assert speaker.publish(topic(self.ada.thing, "update"), mended) == "ok"
        speaker.leave()
        assert self.document(self.ada.thing)["state"] == self.adas

    def ada_arrives(self, version):
        """Connects Ada with a new session that outlives the connection."""
        Speaker(self.ada, version).connected().leave()
        speaker = Speaker(self.ada, version, keeps=True).connected()
        return speaker.listens(topic(self.ada.thing, "get/accepted"))

    def forgeries(self):
        """Certificates that anyone can create without the key of the authority."""
        folder = self.place
        foreign = forge(folder, "foreign-root", subject=self.root_subject, authority=True)
        made = {
            "of a foreign authority of the same name": forge(folder, "foreign", issuer=foreign),
            "that signed itself": forge(folder, "self-signed"),
            "that signed itself, with the name of the thing": forge(folder, "self-named", subject=name(self.ada.thing)),
            "signed by a device's": forge(folder, "leaf-signed", issuer=(self.ada.certificate, self.ada.key)),
        }
        return made


class HubStage(Stage):
    def __init__(self, binary, place, way):
        self.place, self.hub = place, Hub(binary, place, policy(place, ["ana", "ben"])).start()
        self.ada, self.bob = way(self.hub, "ana"), way(self.hub, "ben")
        self.hub.post("/api/users", {"name": "cyd"})
        self.cyd = self.hub.onboard("cyd")
        self.hub.stop()
        authority = self.hub.data / "authority"
        root = authority / "root.pem", authority / "root.key.pem"
        self.root_subject = subject_of(root[0])
        # Certificates that are registered, but have one defect each, except the first.
        registered = {
            "good": forge(place, "good", issuer=root),
            "expired": forge(place, "expired", issuer=root, begins=-2 * DAY, ends=-DAY),
            "not yet valid": forge(place, "early", issuer=root, begins=DAY, ends=2 * DAY),
            "for servers": forge(place, "for-servers", issuer=root, usage=ExtendedKeyUsageOID.SERVER_AUTH),
        }
        with sqlite3.connect(self.hub.data / "hub.db") as database:
            for files in registered.values():
                own = (fingerprint(files[0]), self.ada.thing)
                database.execute("INSERT INTO certificate SELECT ?1, 1, name, name, 0 FROM thing WHERE name = ?2", own)
                database.execute("INSERT INTO attached_policy VALUES (?1, 'OneUserOneThing')", own[:1])
            database.execute("UPDATE certificate SET active = 0 WHERE thing = ?1", (self.cyd.thing,))
        database.close()
        self.hub.start()
        if way in BESIDE_A_MAIL:
            # The sweep at the start marks the shadows of owners with a second certificate, which works for a day.
            marked = lambda bundle: "look" in self.document(bundle.thing)["state"]["reported"]["onboarded"]
            eventually("the first sweep is done", lambda: marked(self.ada) and marked(self.bob))
        self.good = replace(self.ada, certificate=registered["good"][0], key=registered["good"][1])
        self.tls_refuses = {what: registered[what] for what in ("expired", "not yet valid", "for servers")} | self.forgeries()
        self.broker_refuses = {
            "of the authority, unknown to the registry": (self.ada, forge(place, "unknown", issuer=root)),
            "that is INACTIVE": (self.cyd, (self.cyd.certificate, self.cyd.key)),
        }
        self.raise_the_curtain()

    def document(self, thing):
        things = json.loads(self.hub.get("/api/things"))["things"]
        return next(held["shadow"] for held in things if held["thing"] == thing)

    def end(self):
        self.hub.stop()


class EmulatorStage(Stage):
    def __init__(self, binary, place):
        self.place = place
        port, mqtt = free_port(), free_port()
        keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"}
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(place), "TMPDIR": str(place), "PYTHONDONTWRITEBYTECODE": "1", "AUTH": "true",
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_PORT": str(mqtt), "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0", "MINISTACK_REGION": "eu-west-1", **keys,
        }  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        with open(place / "ministack.log", "wb") as log:
            self.process = subprocess.Popen([binary], env=environment, cwd=place, stdout=log, stderr=log)
        atexit.register(self.process.kill)
        eventually("ministack is ready", lambda: self.is_ready(url), limit=90)
        root = place / "ministack-root.pem"
        root.write_bytes(urllib.request.urlopen(f"{url}/_ministack/iot/ca.pem", timeout=LIMIT).read())
        sts = self.speaks_with(url, "eu-west-1", keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        variables = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": sts.get_caller_identity()["Account"]}
        policy = rendered(json.loads((ROOT / "infra/device-policy.json").read_text()), variables)
        self.iot.create_policy(policyName="OneUserOneThing", policyDocument=json.dumps(policy))
        # Upper and lower case letters, as in the names of the hub.
        self.ada, self.bob = (self.moves_in(f"3D_Printer-{its}", root, mqtt) for its in ("AdaAbcdef", "BobAbcdef"))
        self.opens()

    def speaks_with(self, url, region, access_key, secret_key):
        session = boto3.Session(access_key, secret_key, region_name=region)
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
        self.iot, self.data, sts = (session.client(its, endpoint_url=url, config=config) for its in ("iot", "iot-data", "sts"))
        return sts

    def opens(self):
        self.root_subject = subject_of(self.ada.root)
        cyd, dee = (self.moves_in(f"3D_Printer-{its}", self.ada.root, self.ada.port) for its in ("Cyd", "Dee"))
        self.iot.update_certificate(certificateId=fingerprint(cyd.certificate), newStatus="INACTIVE")
        self.iot.delete_certificate(certificateId=self.given_up(dee), forceDelete=True)
        self.tls_refuses = self.forgeries()
        self.broker_refuses = {
            "of the authority, unknown to the registry": (self.ada, (dee.certificate, dee.key)),
            "that is INACTIVE": (cyd, (cyd.certificate, cyd.key)),
        }
        self.raise_the_curtain()

    def moves_in(self, thing, root, port):
        self.iot.create_thing(thingName=thing)
        made = self.iot.create_keys_and_certificate(setAsActive=True)
        certificate, key = self.place / f"{thing}.pem", self.place / f"{thing}.key.pem"
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        self.iot.attach_policy(policyName="OneUserOneThing", target=made["certificateArn"])
        self.iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"], thingPrincipalType="EXCLUSIVE_THING")
        return Bundle("localhost", port, thing, certificate, key, root)

    def given_up(self, bundle):
        """Detaches a certificate from everything, so that it can be deleted."""
        identity = fingerprint(bundle.certificate)
        arn = self.iot.describe_certificate(certificateId=identity)["certificateDescription"]["certificateArn"]
        self.iot.detach_thing_principal(thingName=bundle.thing, principal=arn)
        self.iot.detach_policy(policyName="OneUserOneThing", target=arn)
        self.iot.update_certificate(certificateId=identity, newStatus="INACTIVE")
        return identity

    def is_ready(self, url):
        assert self.process.poll() is None, (self.place / "ministack.log").read_text()
        try:
            with urllib.request.urlopen(f"{url}/_ministack/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def document(self, thing):
        try:
            return json.loads(self.data.get_thing_shadow(thingName=thing)["payload"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class GivenStage(EmulatorStage):
    """A running emulator of another process, with two things that have certificates."""

    def __init__(self, given, place):
        self.place = place
        self.speaks_with(given["endpoint"], given["region"], given["access_key"], given["secret_key"])
        self.ada, self.bob = (bundle_of(given[its]) for its in ("ada", "bob"))
        self.opens()

    def end(self):
        """The process that has started the emulator ends it."""


def bundle_of(given):
    return Bundle(**given | {its: Path(given[its]) for its in ("certificate", "key", "root")})


def rendered(value, variables):
    """Resolves Fn::Sub as CloudFormation does."""
    if isinstance(value, list):
        return [rendered(item, variables) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{(AWS::\w+)\}", lambda found: variables[found.group(1)], value["Fn::Sub"]).replace("${!", "${")
    return {key: rendered(item, variables) for key, item in value.items()}


def free_port():
    """A port for a server that cannot report its own port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
