"""A foreign device: Eclipse Paho over mutual TLS.

The first line of standard input has the parameters of the connection; every further line is one request. The events are
written to standard output, one JSON object per line.
"""

import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt

writing = threading.Lock()


def tell(event, **details):
    with writing:
        print(json.dumps({"event": event, **details}), flush=True)


def connected(client, _userdata, _flags, reason, _properties):
    if reason.is_failure:
        tell("refused", reason=str(reason))
    else:
        tell("connected")


def closed(client, _userdata, _flags, reason, _properties):
    tell("closed", reason=str(reason))


def received(_client, _userdata, message):
    try:
        payload = json.loads(message.payload)
    except ValueError:
        payload = message.payload.decode("utf-8", "replace")
    tell("message", topic=message.topic, payload=payload, retained=bool(message.retain))


def subscribed(_client, orders, number, reasons, _properties):
    refused = [str(reason) for reason in reasons if reason.is_failure]
    tell("refused_subscribe" if refused else "subscribed", topic=orders.get(number), reasons=refused)


def published(_client, orders, number, reason, _properties):
    tell("published", topic=orders.get(number), reason=str(reason))


def obey(client, orders, order):
    if "subscribe" in order:
        # The response may arrive before the number is stored.
        with client_lock:
            _result, number = client.subscribe(order["subscribe"], qos=1)
            orders[number] = order["subscribe"]
    elif "publish" in order:
        with client_lock:
            sent = client.publish(order["publish"], json.dumps(order["payload"]), qos=1)
            orders[sent.mid] = order["publish"]
    elif "leave" in order:
        client.disconnect()


client_lock = threading.Lock()


def main():
    given = json.loads(sys.stdin.readline())
    orders = {}
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=given["client_id"],
        protocol=mqtt.MQTTv5 if given["version"] == "5" else mqtt.MQTTv311,
        reconnect_on_failure=False,
        userdata=orders,
    )
    client.on_connect = connected
    client.on_disconnect = closed
    client.on_message = received
    client.on_subscribe = lambda *arguments: with_orders(subscribed, *arguments)
    client.on_publish = lambda *arguments: with_orders(published, *arguments)
    client.tls_set(
        ca_certs=given["root"],
        certfile=given["certificate"],
        keyfile=given["key"],
        tls_version=ssl.PROTOCOL_TLS_CLIENT,
    )
    try:
        client.connect(given["host"], given["port"], keepalive=30)
    except (OSError, ssl.SSLError) as error:
        tell("refused", reason=str(error))
        return
    client.loop_start()
    for line in sys.stdin:
        obey(client, orders, json.loads(line))


def with_orders(callback, *arguments):
    with client_lock:
        pass
    callback(*arguments)


main()
