"""Paho of the Eclipse Foundation, MQTT 3.1.1 and 5, with the mailed bundle."""

import pytest

from speaker import OK, Speaker
from stages import TOPICS, topic

VERSIONS = pytest.mark.parametrize("version", ["3.1.1", "5"])


def listening(bundle, version, **more):
    return Speaker(bundle, version, **more).connected().listens(*[topic(bundle.thing, rest) for rest in TOPICS])


@VERSIONS
def test_the_shadow_answers(hub, version):
    bundle = hub.onboard("ana")
    device = listening(bundle, version)
    report = {"state": {"reported": {"status": "idle", "head": [1, 2]}}, "clientToken": "t"}
    assert device.publish(topic(bundle.thing, "update"), report) == OK
    accepted = device.receive(topic(bundle.thing, "update/accepted"))
    assert accepted["state"] == report["state"] and accepted["clientToken"] == "t"
    assert accepted["metadata"]["reported"]["status"]["timestamp"] == accepted["timestamp"]

    assert device.publish(topic(bundle.thing, "get"), "") == OK
    whole = device.receive(topic(bundle.thing, "get/accepted"))
    assert whole["state"]["reported"].items() >= report["state"]["reported"].items() and whole["version"] == accepted["version"]

    for wrong, code in [({"state": {"reported": {}}, "version": 99}, 409), ("no json", 400), ({"state": 1}, 400), ({}, 400)]:
        assert device.publish(topic(bundle.thing, "update"), wrong) == OK
        assert device.receive(topic(bundle.thing, "update/rejected"))["code"] == code, wrong
    device.leave()


@VERSIONS
def test_a_command_reaches_the_device_and_its_report_reaches_the_hub(hub, version):
    bundle = hub.onboard("ana")
    device = listening(bundle, version)
    hub.say("ana", "ask my printer to print a vase")
    delta = device.receive(topic(bundle.thing, "update/delta"))
    command = delta["state"]["command"]
    assert command["args"]["model"] == "vase"
    assert device.publish(topic(bundle.thing, "update"), {"state": {"reported": {"command": command}}}) == OK
    device.receive(topic(bundle.thing, "update/accepted"), lambda payload: "reported" in payload["state"])
    assert "delta" not in hub.thing("ana")["shadow"]["state"]
    device.leave()


@VERSIONS
def test_a_command_for_an_offline_device_survives_a_power_failure(hub, version):
    bundle = hub.onboard("ana")
    device = listening(bundle, version, keeps=True)
    assert not device.session_present
    device.vanish()
    hub.say("ana", "ask my printer to print a vase")
    hub.kill()
    hub.start()
    device = Speaker(bundle, version, keeps=True, fresh=False).connected()
    assert device.session_present
    delta = device.receive(topic(bundle.thing, "update/delta"))
    assert delta["state"]["command"]["args"]["model"] == "vase"
    # The session still works.
    hub.say("ana", "ask my printer to pause")
    assert device.receive(topic(bundle.thing, "update/delta"))["state"]["command"]["name"] == "pause"
    device.leave()


@VERSIONS
def test_the_newer_connection_of_a_device_ends_the_older(hub, version):
    bundle = hub.onboard("ana")
    older = listening(bundle, version)
    newer = listening(bundle, version)
    assert older.ended() == (142 if version == "5" else "closed")
    assert newer.publish(topic(bundle.thing, "get"), "") == OK
    newer.leave()
    older.leave()
