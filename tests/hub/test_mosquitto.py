"""`mosquitto_pub` and `mosquitto_sub` of the Eclipse Foundation, in the version of Debian, with the mailed bundle."""

import json
import queue
import subprocess
import threading

import pytest

from hub import LIMIT
from stages import topic

VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


def command(tool, program, bundle, version, *more, client_id=None):
    identity = ["--cafile", bundle.root, "--cert", bundle.certificate, "--key", bundle.key, "-i", client_id or bundle.thing]
    return [tool(program), "-h", bundle.host, "-p", str(bundle.port), *identity, "-V", version, "-q", "1", *more]


class Listener:
    """A running `mosquitto_sub`."""

    def __init__(self, tool, bundle, version, *topics, more=()):
        filters = [part for name in topics for part in ("-t", topic(bundle.thing, name))]
        # -d prints the subscription.
        asked = command(tool, "mosquitto_sub", bundle, version, *filters, "-d", "-F", "MESSAGE %t %r %p", *more)
        self.process = subprocess.Popen(["stdbuf", "-oL", *asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.seen = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def until(self, wanted):
        while True:
            try:
                line = self.lines.get(timeout=LIMIT)
            except queue.Empty:
                raise AssertionError(f"nothing for {LIMIT} s after {self.seen}") from None
            assert line is not None, f"mosquitto_sub has ended: {self.seen}"
            self.seen.append(line)
            if wanted(line):
                return line

    def subscribed(self):
        self.until(lambda line: line.startswith("Subscribed"))
        return self

    def message(self, bundle, rest):
        start = f"MESSAGE {topic(bundle.thing, rest)} 0 "
        return json.loads(self.until(lambda line: line.startswith(start))[len(start) :])

    def end(self):
        self.process.terminate()
        self.process.wait(LIMIT)



def ask(tool, bundle, version, rest, payload, *answers):
    """One request to the shadow, and its response: mosquitto_sub receives on a persistent session the response to the request of
    mosquitto_pub, which must have the same client id."""
    keeps = ["-c"] + (["-x", "600"] if version == "mqttv5" else [])
    Listener(tool, bundle, version, *answers, more=keeps).subscribed().end()
    asked = command(tool, "mosquitto_pub", bundle, version, *keeps, "-t", topic(bundle.thing, rest), "-m", payload)
    told = subprocess.run(asked, timeout=LIMIT, capture_output=True, text=True)
    assert told.returncode == 0, told
    return Listener(tool, bundle, version, *answers, more=keeps)


@VERSIONS
def test_the_shadow_answers(hub, tool, version):
    bundle = hub.onboard("ana")
    listener = ask(tool, bundle, version, "update", '{"state": {"reported": {"status": "idle"}}, "clientToken": "t"}', "update/accepted")
    accepted = listener.message(bundle, "update/accepted")
    assert (accepted["state"], accepted["clientToken"]) == ({"reported": {"status": "idle"}}, "t")
    listener.end()
    assert hub.thing("ana")["shadow"]["state"]["reported"]["status"] == "idle"

    listener = ask(tool, bundle, version, "get", "", "get/accepted")
    assert listener.message(bundle, "get/accepted")["state"]["reported"]["status"] == "idle"
    listener.end()

    listener = ask(tool, bundle, version, "update", '{"state": {"reported": {}}, "version": 99}', "update/rejected")
    assert listener.message(bundle, "update/rejected")["code"] == 409
    listener.end()


@VERSIONS
def test_a_command_reaches_the_device(hub, tool, version):
    bundle = hub.onboard("ana")
    listener = Listener(tool, bundle, version, "update/delta").subscribed()
    hub.say("ana", "ask my printer to print a vase")
    delta = listener.message(bundle, "update/delta")
    assert delta["state"]["command"]["args"]["model"] == "vase"
    listener.end()


@VERSIONS
def test_a_command_for_an_offline_device_survives_a_power_failure(hub, tool, version):
    bundle = hub.onboard("ana")
    keeps = ["-c"] + (["-x", "600"] if version == "mqttv5" else [])
    Listener(tool, bundle, version, "update/delta", more=keeps).subscribed().end()
    hub.say("ana", "ask my printer to print a vase")
    hub.kill()
    hub.start()
    listener = Listener(tool, bundle, version, "update/delta", more=keeps)
    assert listener.message(bundle, "update/delta")["state"]["command"]["args"]["model"] == "vase"
    listener.end()


@VERSIONS
def test_qos_2_becomes_1_in_a_subscription_and_ends_the_connection_in_a_message(hub, tool, version):
    bundle = hub.onboard("ana")
    listener = Listener(tool, bundle, version, "update/delta", more=["-q", "2"]).subscribed()
    assert listener.seen[-1].endswith(": 1"), listener.seen
    hub.say("ana", "ask my printer to print a vase")
    assert listener.message(bundle, "update/delta")["state"]["command"]["args"]["model"] == "vase"
    listener.end()
    asked = command(tool, "mosquitto_pub", bundle, version, "-q", "2", "-t", topic(bundle.thing, "update"), "-m", "{}")
    told = subprocess.run(asked, timeout=LIMIT, capture_output=True, text=True)
    # With MQTT 5 the client knows the maximum QoS of the broker, and does not exceed it.
    assert "QoS not supported" in told.stderr if version == "mqttv5" else told.returncode != 0, told


@VERSIONS
def test_another_client_id_and_another_topic_are_refused(hub, tool, version):
    ana, ben = hub.onboard("ana"), hub.onboard("ben")
    asked = command(tool, "mosquitto_pub", ana, version, "-t", topic(ben.thing, "update"), "-m", "{}", client_id=ben.thing)
    assert subprocess.run(asked, timeout=LIMIT, capture_output=True).returncode != 0
    # An MQTT 5 client gets the reason; with 3.1.1 the connection is closed, and mosquitto_sub tries again.
    listener = Listener(tool, ana, version, more=["-t", topic(ben.thing, "update/delta")])
    if version == "mqttv5":
        listener.until(lambda line: "135" in line)
    else:
        for _attempt in range(2):
            listener.until(lambda line: "sending CONNECT" in line)
        assert not any(line.startswith("Subscribed") for line in listener.seen)
    # Between two attempts mosquitto_sub ignores SIGTERM.
    listener.process.kill()
    listener.process.wait(LIMIT)
