"""Where ministack 1.5.33 does otherwise than the hub, and why. Tested in both directions: a difference that has
vanished fails as well as one that is new."""

from dataclasses import dataclass

from table import ADA, BOB

UNHEARD, HEARD = "unheard", "heard"


@dataclass(frozen=True)
class Gap:
    outcome: object
    why: str


GAPS = {}


def differs(why, kind, outcomes, *texts):
    """`outcomes`: what comes of it there, by version of MQTT."""
    for text in texts:
        for version, outcome in outcomes.items():
            GAPS[kind, text.encode("unicode_escape").decode()[:200], version] = Gap(outcome, why)


RESERVED = [
    "$aws%2Fthings%2F{b}%2Fshadow%2Fupdate/delta",
    "$aws/THINGS/{b}/SHADOW/UPDATE/DELTA",
    "$aws／things／{b}／shadow／update／delta",
]
differs(
    "Of a name with `$` that no service of its own has it says that it is none; the hub asks the policy first, "
    "and whoever may not is not told what there is.",
    "subscribe",
    {"5": 143},
    *RESERVED,
    *("$aws/#", "$aws/+/+/+/+/+", "$aws/+/{b}/shadow/update/delta", "$SYS/#", "$aws//things/{b}/shadow/update/delta"),
    *("$AWS/things/{b}/shadow/update/delta", "$\u0430ws/things/{b}/shadow/update/delta", "$share/g/$aws/#"),
)
differs(
    "The same of topics.",
    "publish",
    {"5": 144},
    *RESERVED,
    *(BOB + "/jobs/notify", "$aws/events/presence/disconnected/{b}", "$SYS/broker", "$aws//things/{b}/shadow/update"),
    *("$AWS/things/{b}/shadow/update", "$\u0430ws/things/{b}/shadow/update"),
)
STATES = ["$SYS/broker/connection/" + rest for rest in ("{b}/state", "{a}", "{a}/state/", "{a}/{b}/state", "/state", "{a_lower}/state")]
differs("The same of what a bridge says of another.", "publish", {"5": 144}, *STATES, "retained $SYS/broker/connection/{b}/state")
differs(
    "It refuses, as AWS IoT does, what a bridge of mosquitto says of itself with its default options, so that such a bridge never stays "
    "connected. The hub acknowledges it and gives it to no reader.",
    "publish",
    {"3.1.1": "closed", "5": 144},
    "retained $SYS/broker/connection/{a}/state",
)
SHARED = ["$share/g/#", "$share/g/+/+", "$share/g/" + BOB + "/shadow/update/delta", "$share/g/$aws/things/+/shadow/update/delta"]
differs(
    "It has shared subscriptions, so there is something to decide for the policy. The hub has none, and says so.",
    "subscribe",
    {"3.1.1": "closed", "5": 135},
    *SHARED,
    "$share/{b}/" + ADA + "/shadow/get/accepted",
)
differs("The same.", "subscribe", {"3.1.1": "closed"}, "$share/g/$aws/#")
differs(
    "It asks the policy before it looks whether a filter is one; the hub the other way round. Neither lets it pass.",
    "subscribe",
    {"5": 135},
    *("$share/g/", "$share//" + BOB + "/shadow/update/delta", "$share/+/#", BOB + "/shadow/#/x", BOB + "+/shadow/update/delta"),
    *("$aws/things/#/delta", "##", BOB + "/shadow\0/get"),
)
differs("The same of a topic with U+0000.", "publish", {"5": 135}, BOB + "/shadow\0/update")
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
    "It refuses in the handshake what it does not know; the hub, as AWS IoT, lets a certificate of its authority "
    "finish the handshake and refuses the CONNECT, so that MQTT 5 is told why.",
    "certificate",
    {"5": "closed"},
    *("of the authority, unknown to the registry", "that is INACTIVE"),
)
differs(
    "It asks for a certificate and does not insist on one: whoever has none is let in as nobody. The hub ends the handshake, as AWS IoT does.",
    "certificate",
    {"3.1.1": "ok", "5": "ok"},
    "none",
)
