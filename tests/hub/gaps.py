"""Differences of ministack 1.5.33 from the hub, with the reasons. Tested in both directions: a difference that has disappeared
fails, as well as a new one."""

from dataclasses import dataclass

from table import ADA, BOB

UNHEARD, HEARD = "unheard", "heard"


@dataclass(frozen=True)
class Gap:
    outcome: object
    why: str


GAPS = {}


def differs(why, kind, outcomes, *texts):
    """Adds differences; `outcomes` are the outcomes on ministack by version of MQTT."""
    for text in texts:
        for version, outcome in outcomes.items():
            GAPS[kind, text.encode("unicode_escape").decode()[:200], version] = Gap(outcome, why)


RESERVED = [
    "$aws%2Fthings%2F{b}%2Fshadow%2Fupdate/delta",
    "$aws/THINGS/{b}/SHADOW/UPDATE/DELTA",
    "$aws／things／{b}／shadow／update／delta",
]
differs(
    "It answers that an unknown name with `$` is invalid; the hub evaluates the policy first, so that a client without a permission does "
    "not learn which names exist.",
    "subscribe",
    {"5": 143},
    *RESERVED,
    *("$aws/#", "$aws/+/+/+/+/+", "$aws/+/{b}/shadow/update/delta", "$SYS/#", "$aws//things/{b}/shadow/update/delta"),
    *("$AWS/things/{b}/shadow/update/delta", "$\u0430ws/things/{b}/shadow/update/delta", "$share/g/$aws/#"),
)
differs(
    "The same for topics.",
    "publish",
    {"5": 144},
    *RESERVED,
    *(BOB + "/jobs/notify", "$aws/events/presence/disconnected/{b}", "$SYS/broker", "$aws//things/{b}/shadow/update"),
    *("$AWS/things/{b}/shadow/update", "$\u0430ws/things/{b}/shadow/update"),
)
STATES = ["$SYS/broker/connection/" + rest for rest in ("{b}/state", "{a}", "{a}/state/", "{a}/{b}/state", "/state", "{a_lower}/state")]
differs("The same for the state of another bridge.", "publish", {"5": 144}, *STATES, "retained $SYS/broker/connection/{b}/state")
differs(
    "It refuses, as AWS IoT does, the state message that a bridge of mosquitto publishes with its default options, so that such a bridge "
    "never stays connected. The hub acknowledges the message and delivers it to no subscription.",
    "publish",
    {"3.1.1": "closed", "5": 144},
    "retained $SYS/broker/connection/{a}/state",
)
SHARED = ["$share/g/#", "$share/g/+/+", "$share/g/" + BOB + "/shadow/update/delta", "$share/g/$aws/things/+/shadow/update/delta"]
differs(
    "It has shared subscriptions, so the policy decides. The hub has none, and answers so.",
    "subscribe",
    {"3.1.1": "closed", "5": 135},
    *SHARED,
    "$share/{b}/" + ADA + "/shadow/get/accepted",
)
differs("The same.", "subscribe", {"3.1.1": "closed"}, "$share/g/$aws/#")
differs(
    "It evaluates the policy before it validates a filter; the hub does the reverse. Both refuse the filter.",
    "subscribe",
    {"5": 135},
    *("$share/g/", "$share//" + BOB + "/shadow/update/delta", "$share/+/#", BOB + "/shadow/#/x", BOB + "+/shadow/update/delta"),
    *("$aws/things/#/delta", "##", BOB + "/shadow\0/get"),
)
differs("The same for a topic with U+0000.", "publish", {"5": 135}, BOB + "/shadow\0/update")
differs(
    "It has no limit of 128 bytes for a client id; the policy refuses it.", "connect", {"3.1.1": "closed", "5": 135}, "{a}{a}{a}{a}"
)
differs(
    "It publishes a will to the own shadow. AWS IoT does not publish wills to reserved topics "
    "(https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-comms-app.html).",
    "will",
    {"3.1.1": HEARD, "5": HEARD},
    ADA + "/shadow/update",
)
differs(
    "It refuses an unknown certificate in the handshake; the hub, as AWS IoT, lets a certificate of its authority "
    "finish the handshake and refuses the CONNECT, so that an MQTT 5 client gets the reason.",
    "certificate",
    {"5": "closed"},
    *("of the authority, unknown to the registry", "that is INACTIVE"),
)
differs(
    "It requests a certificate but does not require one: a client without one is connected without a thing. The hub ends the handshake, as AWS IoT does.",
    "certificate",
    {"3.1.1": "ok", "5": "ok"},
    "none",
)
