"""A bridge of mosquitto to the hub, with the mailed bundle: a device with its own broker."""

import queue
import subprocess
import threading

import paho.mqtt.client as mqtt
import pytest

from hub import LIMIT
from stages import topic

VASE = "ask my printer to print a vase"
OUT = ["get", "update"]
IN = ["get/accepted", "update/accepted", "update/delta"]


class Bridge:
    """mosquitto on a Unix socket, and a local client of it."""

    def __init__(self, tool, bundle, place, *options):
        socket = place / "socket"
        shadow = topic(bundle.thing, "")
        lines = [
            # Started by root, mosquitto would switch to a user without write permission here.
            "user root",
            f"listener 0 {socket}",
            "allow_anonymous true",
            "log_type all",
            "connection onething",
            f"address {bundle.host}:{bundle.port}",
            f"remote_clientid {bundle.thing}",
            f"bridge_cafile {bundle.root}",
            f"bridge_certfile {bundle.certificate}",
            f"bridge_keyfile {bundle.key}",
            *(f"topic {rest} out 1 printer/ {shadow}" for rest in OUT),
            *(f"topic {rest} in 1 printer/ {shadow}" for rest in IN),
            *options,
        ]
        (place / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        command = ["stdbuf", "-oL", tool("mosquitto"), "-c", place / "mosquitto.conf"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.seen, self.messages = queue.Queue(), [], queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()
        self.until("running")
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "local", transport="unix")
        self.client.on_message = lambda _client, _user, message: self.messages.put((message.topic, message.payload))
        self.client.connect(str(socket))
        self.client.loop_start()
        self.client.subscribe("printer/+/+", qos=1)

    def until(self, words):
        """Reads the log up to the next line with these words."""
        while True:
            try:
                self.seen.append(self.lines.get(timeout=LIMIT))
            except queue.Empty:
                raise AssertionError(f"no {words!r} for {LIMIT} s after {self.seen}") from None
            if words in self.seen[-1]:
                return

    def end(self):
        self.client.loop_stop()
        self.process.terminate()
        self.process.wait(LIMIT)


@pytest.mark.parametrize(
    "options",
    [(), ("bridge_protocol_version mqttv50", "restart_timeout 1"), ("try_private false", "cleansession true", "restart_timeout 1")],
    ids=["default", "MQTT 5", "as a common client"],
)
def test_a_bridge_of_mosquitto_carries_the_shadow_both_ways(hub, tool, tmp_path, options):
    bundle = hub.onboard("ana")
    bridge = Bridge(tool, bundle, tmp_path, *options)
    for _filter in IN:
        bridge.until("Received SUBACK")
    bridge.client.publish("printer/update", '{"state": {"reported": {"status": "idle"}}}', qos=1)
    hub.say("ana", VASE)
    heard = set()
    while heard != {"printer/update/accepted", "printer/update/delta"}:
        heard.add(bridge.messages.get(timeout=LIMIT)[0])
    thing = hub.thing("ana")
    state = thing["shadow"]["state"]
    assert thing["connected"]
    assert (state["reported"]["status"], state["desired"]["command"]["args"]["model"]) == ("idle", "vase")
    bridge.end()
