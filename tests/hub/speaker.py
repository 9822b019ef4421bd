"""Paho, an MQTT client of the Eclipse Foundation, which records every event and can also send requests that a correct client
would not send."""

import contextlib
import json
import socket
import ssl
import threading
from collections import namedtuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LIMIT = 20
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}

Message = namedtuple("Message", "topic payload retained")

# The outcome of a request: "ok", "closed" if the connection ends, or the reason code of MQTT 5.
OK, CLOSED = "ok", "closed"


class Unchecked(mqtt.Client):
    """Paho without its own checks of topics, so that the broker has to check them."""

    @staticmethod
    def _raise_for_invalid_topic(topic):
        pass

    @staticmethod
    def _filter_wildcard_len_check(sub):
        return mqtt.MQTT_ERR_SUCCESS


def mutual_tls(bundle, certificate=None, key=None):
    """A TLS context with the files of the bundle, or with another certificate."""
    context = ssl.create_default_context(cafile=bundle.root)
    context.load_cert_chain(certificate or bundle.certificate, key or bundle.key)
    return context


class Speaker:
    def __init__(self, bundle, version, client_id=None, keeps=False, fresh=True, will=None, tls="of the bundle", keep_alive=30):
        self.bundle, self.version, self.keep_alive = bundle, version, keep_alive
        self.changed = threading.Condition()
        self.messages, self.answers, self.end, self.welcome, self.session_present = [], {}, None, None, None
        client_id = bundle.thing if client_id is None else client_id
        arguments = {} if version == "5" else {"clean_session": not keeps}
        self.client = Unchecked(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version], reconnect_on_failure=False, **arguments
        )
        self.client.connect_timeout = LIMIT
        self.connect_arguments = {}
        if version == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 600 if keeps else 0
            self.connect_arguments = {"clean_start": fresh, "properties": properties}
        if will:
            self.client._will, self.client._will_topic = True, will["topic"].encode()
            self.client._will_payload, self.client._will_qos = will["payload"].encode(), 1
            self.client._will_retain = will.get("retain", False)
        if tls == "of the bundle":
            tls = mutual_tls(bundle)
        if tls:
            self.client.tls_set_context(tls)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._answered(mid, reasons)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self._answered(mid, [reason])

    def _on_connect(self, _client, _user, flags, reason, _properties):
        with self.changed:
            self.welcome = _outcome(reason) if self.version == "5" or not reason.is_failure else f"connack {reason}"
            self.session_present = flags.session_present
            self.changed.notify_all()

    def _on_disconnect(self, _client, _user, flags, reason, _properties):
        with self.changed:
            self.end = reason.value if flags.is_disconnect_packet_from_server else CLOSED
            self.changed.notify_all()

    def _on_message(self, _client, _user, message):
        with self.changed:
            self.messages.append(Message(message.topic, message.payload, bool(message.retain)))
            self.changed.notify_all()

    def _answered(self, mid, reasons):
        with self.changed:
            self.answers[mid] = [_outcome(reason) for reason in reasons]
            self.changed.notify_all()

    def _wait(self, what, holds):
        with self.changed:
            assert self.changed.wait_for(holds, LIMIT), f"{what}: not within {LIMIT} s; {self.messages[-3:]} {self.end}"

    def connect(self):
        """Connects; returns the outcome."""
        try:
            self.client.connect(self.bundle.host, self.bundle.port, keepalive=self.keep_alive, **self.connect_arguments)
        except (OSError, ssl.SSLError):
            self.end = CLOSED
            return CLOSED
        self.client.loop_start()
        self._wait("an answer to CONNECT", lambda: self.welcome is not None or self.end is not None)
        return self.welcome if self.welcome is not None else self.end

    def connected(self):
        outcome = self.connect()
        assert outcome == OK, outcome
        return self

    def _request(self, what, ask):
        with self.changed:
            _result, mid = ask()
        self._wait(what, lambda: mid in self.answers or self.end is not None)
        return self.answers.get(mid, [self.end])

    def subscribe(self, *filters):
        """The outcome for each filter; all filters are in one packet."""
        asked = [(name, 1) for name in filters]
        outcomes = self._request(f"an answer to SUBSCRIBE {filters}", lambda: self.client.subscribe(asked))
        return outcomes if len(outcomes) == len(filters) else outcomes * len(filters)

    def publish(self, topic, payload, retain=False):
        payload = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)

        def ask():
            sent = self.client.publish(topic, payload, qos=1, retain=retain)
            return sent.rc, sent.mid

        [outcome] = self._request(f"an answer to PUBLISH {topic}", ask)
        return outcome

    def listens(self, *filters):
        assert self.subscribe(*filters) == [OK] * len(filters), (filters, self.answers, self.end)
        return self

    def receive(self, topic, wanted=lambda payload: True):
        """Waits for a message to this topic that satisfies `wanted`, and removes it."""

        def found():
            return next((m for m in self.messages if m.topic == topic and wanted(json.loads(m.payload))), None)

        self._wait(f"a message to {topic}", lambda: found() or self.end is not None)
        message = found()
        assert message, f"the connection ended ({self.end}) before a message to {topic} came"
        with self.changed:
            self.messages.remove(message)
        return json.loads(message.payload)

    def ended(self):
        """Waits for the end of the connection; returns its outcome."""
        self._wait("the end of the connection", lambda: self.end is not None)
        return self.end

    def is_connected(self):
        return self.end is None and self.client.is_connected()

    def leave(self):
        if self.is_connected():
            self.client.disconnect()
            self.ended()
        self._stop()

    def vanish(self):
        """Closes the socket without DISCONNECT, as a network failure would."""
        if (its := self.client.socket()) is not None:
            its.shutdown(socket.SHUT_RDWR)
            self.ended()
        self._stop()

    def _stop(self):
        # The thread of the client ends with the connection and then removes itself, also between the two looks of `loop_stop`.
        with contextlib.suppress(AttributeError):
            self.client.loop_stop()


def _outcome(reason):
    return reason.value if reason.is_failure else OK
