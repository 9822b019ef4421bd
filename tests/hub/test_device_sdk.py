"""The AWS IoT Device SDK for Python v2 with its two shadow clients, with the mailed bundle."""

import queue
from concurrent.futures import Future

import pytest
from awscrt import mqtt, mqtt5, mqtt_request_response
from awsiot import ServiceStreamOptions, V2ServiceException, iotshadow, mqtt5_client_builder, mqtt_connection_builder

from hub import LIMIT
from stages import topic

VASE = "ask my printer to print a vase"


def identity(bundle):
    return {
        "endpoint": bundle.host,
        "port": bundle.port,
        "cert_filepath": str(bundle.certificate),
        "pri_key_filepath": str(bundle.key),
        "ca_filepath": str(bundle.root),
        "client_id": bundle.thing,
    }


class Classic:
    """MQTT 3.1.1 and the first shadow client: a callback for each topic."""

    def __init__(self, bundle, keeps=False):
        self.thing, self.inbox, self.resumed, self.lost = bundle.thing, queue.Queue(), queue.Queue(), queue.Queue()
        self.connection = mqtt_connection_builder.mtls_from_path(
            **identity(bundle),
            clean_session=not keeps,
            keep_alive_secs=30,
            reconnect_min_timeout_secs=1,
            reconnect_max_timeout_secs=1,
            on_connection_interrupted=lambda connection, error, **_: self.lost.put(error),
            on_connection_resumed=lambda connection, return_code, session_present, **_: self.resumed.put(session_present),
        )
        self.shadow = iotshadow.IotShadowClient(self.connection)

    def connected(self):
        self.connection.connect().result(LIMIT)
        self.hears("update_shadow_accepted", "UpdateShadow")
        self.hears("update_shadow_rejected", "UpdateShadow")
        self.hears("get_shadow_accepted", "GetShadow")
        self.hears("get_shadow_rejected", "GetShadow")
        self.hears("shadow_delta_updated_events", "ShadowDeltaUpdated")
        self.hears("shadow_updated_events", "ShadowUpdated")
        self.hears("delete_shadow_accepted", "DeleteShadow")
        self.hears("delete_shadow_rejected", "DeleteShadow")
        return self

    def hears(self, what, of):
        request = getattr(iotshadow, f"{of}SubscriptionRequest")(thing_name=self.thing)
        subscribe = getattr(self.shadow, f"subscribe_to_{what}")
        done, _topic = subscribe(request, mqtt.QoS.AT_LEAST_ONCE, lambda message: self.inbox.put((what, message)))
        done.result(LIMIT)

    def next(self, what):
        while True:
            name, message = self.inbox.get(timeout=LIMIT)
            if name == what:
                return message

    def get(self):
        request = iotshadow.GetShadowRequest(thing_name=self.thing)
        self.shadow.publish_get_shadow(request, mqtt.QoS.AT_LEAST_ONCE).result(LIMIT)

    def update(self, version=None, **state):
        state = iotshadow.ShadowState(**state)
        request = iotshadow.UpdateShadowRequest(thing_name=self.thing, state=state, version=version, client_token="token")
        self.shadow.publish_update_shadow(request, mqtt.QoS.AT_LEAST_ONCE).result(LIMIT)

    def leave(self):
        self.connection.disconnect().result(LIMIT)


def test_the_classic_shadow_client(hub):
    device = Classic(hub.onboard("ana")).connected()
    device.update(reported={"status": "idle"})
    accepted = device.next("update_shadow_accepted")
    assert accepted.state.reported == {"status": "idle"} and accepted.client_token == "token"
    device.get()
    whole = device.next("get_shadow_accepted")
    assert whole.state.reported["status"] == "idle" and whole.version == accepted.version
    device.update(reported={"status": "idle"}, version=99)
    assert device.next("update_shadow_rejected").code == 409

    hub.say("ana", VASE)
    command = device.next("shadow_delta_updated_events").state["command"]
    assert command["args"]["model"] == "vase"
    device.update(reported={"command": command})
    while device.next("shadow_updated_events").current.state.reported.get("command") != command:
        pass
    assert "delta" not in hub.thing("ana")["shadow"]["state"]
    device.leave()


def test_the_classic_shadow_client_survives_a_power_failure(hub):
    bundle = hub.onboard("ana")
    device = Classic(bundle, keeps=True).connected()
    hub.kill()
    assert device.lost.get(timeout=LIMIT)
    hub.start()
    assert device.resumed.get(timeout=LIMIT), "the session is present"
    hub.say("ana", VASE)
    assert device.next("shadow_delta_updated_events").state["command"]["args"]["model"] == "vase"
    device.leave()

    # The command is sent while the device is not connected, and the hub is killed before the device connects.
    hub.say("ana", "ask my printer to pause")
    hub.kill()
    hub.start()
    device = Classic(bundle, keeps=True)
    device.connection.on_message(lambda topic, payload, **_: device.inbox.put((topic, payload)))
    assert device.connection.connect().result(LIMIT)["session_present"]
    # A message that was not acknowledged may be delivered again, as QoS 1 allows.
    while b'"pause"' not in device.next(topic(bundle.thing, "update/delta")):
        pass
    device.leave()


class Modern:
    """MQTT 5 and the second shadow client: requests with a response, and streams."""

    def __init__(self, bundle, keeps=False):
        self.thing, self.states, self.streaming = bundle.thing, queue.Queue(), queue.Queue()
        self.deltas, self.documents = queue.Queue(), queue.Queue()
        behavior = mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS if keeps else mqtt5.ClientSessionBehaviorType.CLEAN
        self.packets, self.stopped = queue.Queue(), Future()
        self.client = mqtt5_client_builder.mtls_from_path(
            **identity(bundle),
            session_behavior=behavior,
            session_expiry_interval_sec=600 if keeps else 0,
            keep_alive_interval_sec=30,
            min_reconnect_delay_ms=50,
            max_reconnect_delay_ms=200,
            on_publish_received=lambda data: self.packets.put(data.publish_packet),
            on_lifecycle_connection_success=lambda data: self.states.put(data.connack_packet),
            on_lifecycle_connection_failure=lambda data: self.states.put(data.connack_packet or data.exception),
            on_lifecycle_disconnection=lambda data: self.states.put(data),
            on_lifecycle_stopped=lambda data: self.stopped.set_result(None),
        )
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=4, max_streaming_subscriptions=2, operation_timeout_in_seconds=LIMIT
        )
        self.shadow = iotshadow.IotShadowClientV2(self.client, options)

    def connected(self):
        self.client.start()
        return self.welcome()

    def welcome(self):
        """The next CONNACK with success."""
        while True:
            state = self.states.get(timeout=LIMIT)
            if isinstance(state, mqtt5.ConnackPacket) and state.reason_code == mqtt5.ConnectReasonCode.SUCCESS:
                return state

    def streams(self):
        """Opens the streams of `update/delta` and of `update/documents`."""
        delta = iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=self.thing)
        updated = iotshadow.ShadowUpdatedSubscriptionRequest(thing_name=self.thing)
        self.opened = [
            self.shadow.create_shadow_delta_updated_stream(delta, ServiceStreamOptions(self.deltas.put, self.streaming.put)),
            self.shadow.create_shadow_updated_stream(updated, ServiceStreamOptions(self.documents.put, self.streaming.put)),
        ]
        for stream in self.opened:
            stream.open()
            status = self.streaming.get(timeout=LIMIT)
            assert status.type == mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED, status

    def update(self, version=None, **state):
        state = iotshadow.ShadowState(**state)
        request = iotshadow.UpdateShadowRequest(thing_name=self.thing, state=state, version=version)
        return self.shadow.update_shadow(request).result(LIMIT)

    def get(self):
        return self.shadow.get_shadow(iotshadow.GetShadowRequest(thing_name=self.thing)).result(LIMIT)

    def leave(self):
        self.client.stop()
        self.stopped.result(LIMIT)


def test_the_request_response_shadow_client(hub):
    device = Modern(hub.onboard("ana"))
    device.connected()
    device.streams()
    accepted = device.update(reported={"status": "idle"})
    assert accepted.state.reported == {"status": "idle"}
    whole = device.get()
    assert whole.state.reported["status"] == "idle" and whole.version == accepted.version
    with pytest.raises(V2ServiceException) as refused:
        device.update(reported={"status": "idle"}, version=99)
    assert refused.value.modeled_error.code == 409

    hub.say("ana", VASE)
    command = device.deltas.get(timeout=LIMIT).state["command"]
    assert command["args"]["model"] == "vase"
    device.update(reported={"command": command})
    assert device.get().state.delta is None
    documents = [device.documents.get(timeout=LIMIT) for _update in ("idle", "the vase", "the command")]
    assert [held.current.version - held.previous.version for held in documents] == [1, 1, 1]
    assert documents[-1].current.state.reported["command"] == command
    device.leave()


def test_the_request_response_shadow_client_deletes_no_shadow(hub):
    device = Modern(hub.onboard("ana"))
    device.connected()
    with pytest.raises(V2ServiceException):
        device.shadow.delete_shadow(iotshadow.DeleteShadowRequest(thing_name=device.thing)).result(LIMIT)
    assert hub.thing("ana")["shadow"] is not None
    device.leave()


def test_the_request_response_shadow_client_survives_a_power_failure(hub):
    bundle = hub.onboard("ana")
    device = Modern(bundle, keeps=True)
    assert not device.connected().session_present
    device.streams()
    hub.kill()
    hub.start()
    assert device.welcome().session_present, "the session is present"
    hub.say("ana", VASE)
    assert device.deltas.get(timeout=LIMIT).state["command"]["args"]["model"] == "vase"
    device.leave()

    hub.say("ana", "ask my printer to pause")
    hub.kill()
    hub.start()
    device = Modern(bundle, keeps=True)
    assert device.connected().session_present
    while b'"pause"' not in (packet := device.packets.get(timeout=LIMIT)).payload:
        pass
    assert packet.topic == topic(bundle.thing, "update/delta")
    device.leave()


def test_the_sdk_gets_the_reason_of_a_refusal(hub):
    ana, ben = hub.onboard("ana"), hub.onboard("ben")
    device = Modern(ana)
    device.connected()
    for name in (topic(ben.thing, "update/delta"), "#"):
        asked = mqtt5.SubscribePacket([mqtt5.Subscription(name, mqtt5.QoS.AT_LEAST_ONCE)])
        assert device.client.subscribe(asked).result(LIMIT).reason_codes == [mqtt5.SubackReasonCode.NOT_AUTHORIZED]
    device.client.publish(mqtt5.PublishPacket(topic=topic(ben.thing, "update"), qos=mqtt5.QoS.AT_LEAST_ONCE, payload=b"{}"))
    ended = device.states.get(timeout=LIMIT)
    assert ended.disconnect_packet.reason_code == mqtt5.DisconnectReasonCode.NOT_AUTHORIZED
    device.leave()
