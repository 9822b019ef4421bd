"""Two JavaScript clients with the mailed bundle: the first AWS IoT Device SDK, and MQTT.js."""

import pytest

from node import Node
from stages import TOPICS, topic

VASE = "ask my printer to print a vase"


def thing_shadow(tool, bundle, **registration):
    """The shadow client of the SDK, connected and registered."""
    files = {"caPath": str(bundle.root), "certPath": str(bundle.certificate), "keyPath": str(bundle.key)}
    options = files | {"host": bundle.host, "port": bundle.port, "clientId": bundle.thing, "baseReconnectTimeMs": 50}
    device = Node(tool, "thing_shadow.cjs", options)
    device.next("connect")
    assert not any(device.ask("register", bundle.thing, registration)), "an error, or topics that were not granted"
    return device


def status(device, method, *arguments):
    """The outcome of a request to the shadow."""
    [token] = device.ask(method, *arguments)
    _thing, outcome, answered, state = device.next("status")
    assert answered == token
    return outcome, state


@pytest.mark.parametrize("persistent", [True, False], ids=["subscribed for good", "subscribed for each request"])
@pytest.mark.parametrize("qos", [0, 1])
def test_the_shadow_client_of_the_javascript_sdk(hub, tool, persistent, qos):
    bundle = hub.onboard("ana")
    device = thing_shadow(tool, bundle, persistentSubscribe=persistent, qos=qos)
    outcome, state = status(device, "update", bundle.thing, {"state": {"reported": {"status": "idle"}}})
    assert (outcome, state["state"]) == ("accepted", {"reported": {"status": "idle"}})
    outcome, state = status(device, "get", bundle.thing)
    assert (outcome, state["state"]["reported"]["status"]) == ("accepted", "idle")

    hub.say("ana", VASE)
    _thing, delta = device.next("delta")
    command = delta["state"]["command"]
    assert command["args"]["model"] == "vase"
    outcome, _state = status(device, "update", bundle.thing, {"state": {"reported": {"command": command}}})
    assert outcome == "accepted"
    assert "delta" not in hub.thing("ana")["shadow"]["state"]
    device.leave()


def test_the_javascript_sdk_receives_changes_of_the_shadow_by_others(hub, tool):
    bundle = hub.onboard("ana")
    device = thing_shadow(tool, bundle, ignoreDeltas=True)
    hub.say("ana", VASE)
    thing, operation, state = device.next("foreignStateChange")
    assert (thing, operation) == (bundle.thing, "update")
    assert state["state"]["desired"]["command"]["args"]["model"] == "vase"
    device.leave()


def test_the_javascript_sdk_deletes_no_shadow_and_reconnects(hub, tool):
    bundle = hub.onboard("ana")
    device = thing_shadow(tool, bundle)
    outcome, _state = status(device, "update", bundle.thing, {"state": {"reported": {"status": "idle"}}})
    assert outcome == "accepted"
    before = hub.thing("ana")["shadow"]
    device.ask("delete", bundle.thing)
    device.next("close")
    assert hub.thing("ana")["shadow"]["version"] == before["version"]
    # The client reconnects, subscribes again, and gives the request up after ten seconds.
    device.next("connect")
    device.next("timeout")
    outcome, _state = status(device, "get", bundle.thing)
    assert outcome == "accepted"
    hub.say("ana", VASE)
    assert device.next("delta")[1]["state"]["command"]["args"]["model"] == "vase"
    device.leave()


def mqtt_js(tool, bundle, **more):
    """MQTT.js, which connects once."""
    files = {"ca": str(bundle.root), "cert": str(bundle.certificate), "key": str(bundle.key)}
    options = {"protocol": "mqtts", "host": bundle.host, "port": bundle.port, "clientId": bundle.thing, "reconnectPeriod": 0}
    return Node(tool, "connect.cjs", options | files | more)


def test_mqtt_js_with_no_local_receives_the_responses_of_the_shadow(hub, tool):
    bundle = hub.onboard("ana")
    device = mqtt_js(tool, bundle, protocolVersion=5)
    assert device.next("connect") == [0, False]
    filters = {topic(bundle.thing, rest): {"qos": 1, "nl": True, "rap": True} for rest in TOPICS}
    error, granted = device.ask("subscribe", filters, {"properties": {"subscriptionIdentifier": 5}})
    assert (error, [filter["qos"] for filter in granted]) == (None, [1] * len(TOPICS))
    device.tell(["publish", topic(bundle.thing, "update"), '{"state": {"desired": {"power": "ON"}}}', {"qos": 1}])
    heard = dict(sorted((rest.rpartition("/shadow/")[2], more) for rest, *more in (device.next("message") for _three in range(3))))
    assert list(heard) == ["update/accepted", "update/delta", "update/documents"]
    for _payload, retained, properties in heard.values():
        assert (retained, properties) == (False, {"subscriptionIdentifier": 5})
    device.tell(["publish", topic(bundle.thing, "get"), "", {"qos": 1}])
    assert device.next("message")[0] == topic(bundle.thing, "get/accepted")
    device.leave()


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (1, {"protocolId": "MQIsdp", "protocolVersion": 3}),
        (2, {"protocolVersion": 4, "clientId": "x" * 129}),
        (133, {"protocolVersion": 5, "clientId": "x" * 129}),
    ],
    ids=["MQTT 3.1", "a long client id", "a long client id with MQTT 5"],
)
def test_mqtt_js_gets_the_reason_of_a_refused_connection(hub, tool, code, options):
    device = mqtt_js(tool, hub.onboard("ana"), **options)
    [error] = device.next("error")
    assert error["code"] == code, error
    device.next("close")
    device.leave()
