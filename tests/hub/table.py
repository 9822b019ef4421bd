"""The accesses of one device to another: one table, which is tried on the hub and on an emulator of AWS that others wrote.

`{a}` is the thing that tries, `{b}` the other one. Every attempt has to be refused, or to have no effect. `code` is the reason
code of MQTT 5; 135 is "not authorized", 143 "topic filter invalid", 144 "topic name invalid".
(https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901031)
"""

from dataclasses import dataclass

OK = "ok"
NOT_AUTHORIZED, CLIENT_ID, FILTER, NAME, NOT_SHARED, FAILURE = 135, 133, 143, 144, 158, 128
SHARED = {"code": NOT_SHARED, "old_code": FAILURE}
ADA, BOB = "$aws/things/{a}", "$aws/things/{b}"


@dataclass(frozen=True)
class Attempt:
    text: str
    code: object = NOT_AUTHORIZED
    # The outcome for MQTT 3.1.1: the end of the connection, except for an unsupported feature and for an invalid client id.
    old_code: object = "closed"
    retain: bool = False
    payload: str = '{"state": {"reported": {"broken": true}, "desired": {"broken": true}}}'

    def __str__(self):
        return ("retained " if self.retain else "") + (self.text[:60] or "(empty)").encode("unicode_escape").decode()


def attempts(*texts, **more):
    return [Attempt(text, **more) for text in texts]


# Names that a lenient parser, a URL decoder, a file system or a Unicode normaliser may treat as the same name.
DISGUISES = [
    "$aws%2Fthings%2F{b}%2Fshadow%2Fupdate/delta",
    "%24aws/things/{b}/shadow/update/delta",
    "$aws/things/%7Bb%7D/../{b}/shadow/update/delta",
    "$aws/things/{a}/../{b}/shadow/update/delta",
    "$aws/things/{a}%2F..%2F{b}/shadow/update/delta",
    "$aws/things/./{b}/shadow/update/delta",
    "$aws/things/{b}/shadow/update/delta/",
    "/$aws/things/{b}/shadow/update/delta",
    "$aws//things/{b}/shadow/update/delta",
    "$aws/things/{b}//shadow/update/delta",
    "$aws/things//shadow/update/delta",
    "$AWS/things/{b}/shadow/update/delta",
    "$aws/THINGS/{b}/SHADOW/UPDATE/DELTA",
    "$aws/things/{b_lower}/shadow/update/delta",
    "$aws/things/{b_upper}/shadow/update/delta",
    "＄aws/things/{b}/shadow/update/delta",
    "$aws／things／{b}／shadow／update／delta",
    "$\u0430ws/things/{b}/shadow/update/delta",
    "$aws/things/{b}\u200b/shadow/update/delta",
    "\ufeff$aws/things/{b}/shadow/update/delta",
    "$aws/things/{b} /shadow/update/delta",
    "$aws/things/{b}\t/shadow/update/delta",
    "$aws/things/*/shadow/update/delta",
    "$aws/things/*",
    "*",
    "$aws/things/?????????????????????????????????????/shadow/update/delta",
    "$aws/things/${{iot:Connection.Thing.ThingName}}/shadow/update/delta",
    "$aws/things/{a}{b}/shadow/update/delta",
    "$aws/things/{a},{b}/shadow/update/delta",
]

SUBSCRIBE = [
    *attempts(
        *[BOB + "/shadow/" + rest for rest in ("update/delta", "update/accepted", "update/rejected", "update/documents")],
        *[BOB + "/shadow/" + rest for rest in ("get/accepted", "get/rejected", "update", "get", "#", "+/+")],
        *[BOB + "/shadow/" + rest for rest in ("delete/accepted", "delete/rejected", "delete/+", "delete", "+/accepted", "update/*ted")],
        *[BOB + rest for rest in ("/#", "/+/+/+", "/shadow/name/+/update/delta", "/jobs/notify", "/jobs/#", "/tunnels/notify")],
        "#",
        "+",
        "/#",
        *["/".join(["+"] * levels) for levels in range(2, 8)],
        "$aws/#",
        "$aws/+/+/+/+/+",
        "$aws/things/#",
        "$aws/things/+/shadow/#",
        "$aws/things/+/shadow/get/accepted",
        "$aws/things/+/shadow/update/delta",
        "$aws/+/{b}/shadow/update/delta",
        "+/things/{b}/shadow/update/delta",
        "+/things/{a}/shadow/update/delta",
        *[ADA + rest for rest in ("/#", "/shadow/#", "/shadow/+/accepted", "/shadow/update/+", "/shadow/update", "/shadow/get")],
        *[ADA + rest for rest in ("/shadow/update/#", "/shadow/delete", "/shadow/delete/+", "/shadow/name/other/update/delta")],
        *[ADA + rest for rest in ("/shadow/name/other/update/documents", "/shadow/name/other/delete/accepted")],
        *[ADA + rest for rest in ("/jobs/notify", "/jobs/notify-next", "/jobs/+/get/accepted", "/tunnels/notify", "/streams/s/data/json")],
        "$aws/events/#",
        "$aws/events/presence/connected/{b}",
        "$aws/events/subscriptions/subscribed/{b}",
        "$aws/certificates/create/json/accepted",
        "$aws/provisioning-templates/t/provision/json/accepted",
        "$SYS/#",
        "hello",
        "{b}",
    ),
    *attempts(*DISGUISES),
    *attempts("$share/g/#", "$share/g/+/+", "$share/g/$aws/#", "$share/g/" + BOB + "/shadow/update/delta", **SHARED),
    *attempts("$share/g/$aws/things/+/shadow/update/delta", "$share/{b}/" + ADA + "/shadow/get/accepted", **SHARED),
    *attempts("$share/g/", "$share//" + BOB + "/shadow/update/delta", "$share/+/#", code=FILTER),
    *attempts(BOB + "/shadow/#/x", BOB + "+/shadow/update/delta", "$aws/things/#/delta", "##", BOB + "/shadow\0/get", code=FILTER),
]

PUBLISH = [
    *attempts(
        *[BOB + "/shadow/" + rest for rest in ("update", "get", "delete", "update/accepted", "update/rejected", "update/delta")],
        *[BOB + "/shadow/" + rest for rest in ("update/documents", "get/accepted", "name/other/update", "name/other/get")],
        *[BOB + "/shadow/" + rest for rest in ("delete/accepted", "delete/rejected")],
        *[BOB + rest for rest in ("/jobs/get", "/jobs/start-next", "/jobs/j/update", "/jobs/notify", "/defender/metrics/json", "")],
        *[ADA + "/shadow/" + rest for rest in ("update/accepted", "update/rejected", "update/delta", "update/documents", "get/accepted")],
        *[ADA + "/shadow/" + rest for rest in ("delete", "name/other/update", "name/other/get", "name/other/delete")],
        *[ADA + "/shadow/" + rest for rest in ("delete/accepted", "delete/rejected", "name/other/update/documents")],
        *[ADA + rest for rest in ("/jobs/get", "/jobs/start-next", "/jobs/j/update", "/shadow", "/shadow/", "")],
        "$aws/rules/r/" + BOB[1:] + "/shadow/update",
        "$aws/certificates/create/json",
        "$aws/certificates/create-from-csr/json",
        "$aws/provisioning-templates/t/provision/json",
        "$aws/events/presence/disconnected/{b}",
        "$SYS/broker",
        *["$SYS/broker/connection/" + rest for rest in ("{b}/state", "{a}", "{a}/state/", "{a}/{b}/state", "/state", "{a_lower}/state")],
        "hello",
        "{b}",
    ),
    *attempts(*[text.replace("/update/delta", "/update") for text in DISGUISES]),
    *attempts("+", "#", "$aws/#", "$aws/things/+/shadow/update", "$aws/things/#", BOB + "/shadow/+", BOB + "/shadow\0/update", code=NAME),
    *attempts(
        ADA + "/shadow/update", ADA + "/shadow/get", BOB + "/shadow/update", BOB + "/shadow/update/delta", BOB + "/shadow/get/accepted", retain=True
    ),
    *attempts("hello", "$aws/things/{a}/shadow/update/delta", retain=True, payload=""),
    *attempts("$SYS/broker/connection/{b}/state", retain=True, payload="1"),
    # A bridge of mosquitto publishes its own state so; the message is acknowledged, and delivered to no subscription.
    *attempts("$SYS/broker/connection/{a}/state", retain=True, payload="1", code=OK, old_code=OK),
]

CONNECT = [
    *attempts("{b}", "{b}#", "{b}/", "{b} ", " {b}", "{b}\u200b", "{b_lower}", "{b_upper}", "{a_lower}", "{a_upper}", "{a}{b}"),
    *attempts("{a}#", "{a}/", "{a} ", "{a}/../{b}", "{a},{b}", "{a}+", "#", "+", "*", "3D_Printer-*", "?", "", "$aws", "root"),
    *attempts("${{iot:Connection.Thing.ThingName}}", "${{iot:ClientId}}", "{a_short}", "arn:aws:iot:::client/{b}"),
    *attempts("{a}" * 4, code=CLIENT_ID, old_code="connack Client identifier not valid"),
]

# A will may be refused with the connection, or be accepted and never published; both are correct, but publishing it is not.
WILL = [
    *attempts(*[BOB + "/shadow/" + rest for rest in ("update", "update/delta", "update/accepted", "get/accepted", "delete", "get")]),
    *attempts(*[BOB + "/shadow/" + rest for rest in ("update/delta", "update/accepted")], retain=True),
    *attempts(*[ADA + "/shadow/" + rest for rest in ("update", "update/delta", "get/accepted", "delete")]),
    *attempts(ADA + "/shadow/update", ADA + "/shadow/get/accepted", retain=True),
    *attempts("$aws/things/+/shadow/update", "$aws/#", "#", "+", ""),
    *attempts("$SYS/broker/connection/{a}/state", "$SYS/broker/connection/{b}/state", retain=True, payload="0"),
    *attempts("$aws/events/presence/connected/{b}", "$AWS/things/{b}/shadow/update", "hello", "$SYS/x", "$aws/things/{b}//shadow/update"),
]


def filled(attempt, a, b):
    """The text of an attempt with the names of these two things."""
    return attempt.text.format(
        a=a, b=b, a_lower=a.lower(), a_upper=a.upper(), b_lower=b.lower(), b_upper=b.upper(), a_short=a[:-1]
    )
