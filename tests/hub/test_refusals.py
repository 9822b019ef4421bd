"""The records of a refusal: in the log of the hub, in `onething-hub events`, and on the thing."""

import json
import sqlite3
import subprocess

import pytest

from forge import fingerprint
from hub import LIMIT, eventually
from speaker import CLOSED, OK, Speaker
from stages import topic

VERSIONS = pytest.mark.parametrize("version", ["3.1.1", "5"])


def events(hub, *more):
    """The output of `onething-hub events --json`."""
    command = [hub.binary, "events", "--json", "--hub", hub.http, *more]
    told = subprocess.run(command, check=True, timeout=LIMIT, capture_output=True, text=True)
    return json.loads(told.stdout)["events"]


def refusals(hub, count):
    """The refusals, once there are that many; they are recorded shortly after the response to the client."""
    eventually("the refusals are recorded", lambda: len(events(hub, "--kind", "refusal")) >= count)
    return events(hub, "--kind", "refusal")


@VERSIONS
def test_action_resource_client_and_reason_of_each_refusal_are_named(hub, version):
    ana, ben = hub.onboard("ana"), hub.onboard("ben")
    own, other = (lambda rest: topic(ana.thing, rest)), (lambda rest: topic(ben.thing, rest))
    dying = Speaker(ana, version, will={"topic": other("update"), "payload": "{}"}).connected()
    dying.vanish()
    expected = [("iot:Publish", other("update"), "implicit_deny", True)]
    eventually("the will is refused", lambda: len(events(hub)) == 1)

    attempts = [
        ("iot:Connect", ben.thing, "implicit_deny", lambda _speaker: None),
        ("iot:Publish", other("update"), "implicit_deny", lambda speaker: speaker.publish(other("update"), "{}")),
        ("iot:Publish", own("delete"), "implicit_deny", lambda speaker: speaker.publish(own("delete"), "")),
        ("iot:RetainPublish", own("update"), "implicit_deny", lambda speaker: speaker.publish(own("update"), "{}", retain=True)),
        ("iot:Subscribe", other("update/delta"), "implicit_deny", lambda speaker: speaker.subscribe(other("update/delta"))),
        ("iot:Subscribe", "$share/g/" + own("get/+"), "shared_not_supported", lambda speaker: speaker.subscribe("$share/g/" + own("get/+"))),
        ("iot:Publish", own("update/+"), "topic_name_invalid", lambda speaker: speaker.publish(own("update/+"), "{}")),
    ]
    for action, resource, reason, attempt in attempts:
        speaker = Speaker(ana, version, client_id=ben.thing if action == "iot:Connect" else ana.thing)
        if speaker.connect() == OK:
            attempt(speaker)
        speaker.leave()
        expected.append((action, resource, reason, False))
    kept = refusals(hub, len(expected))
    assert [(event["action"], event["resource"], event["reason"], event["will"]) for event in kept] == expected
    for event in kept:
        assert (event["kind"], event["thing"], event["certificate"]) == ("refusal", ana.thing, fingerprint(ana.certificate))
        assert (event["source"], event["times"]) == ("127.0.0.1", 1)
        assert event["clientId"] == (ben.thing if event["action"] == "iot:Connect" else ana.thing)

    # The same refusals as text, in the log and on the thing.
    words = subprocess.run([hub.binary, "events", "--hub", hub.http], check=True, timeout=LIMIT, capture_output=True, text=True).stdout
    words = " ".join(words.split())
    assert f'iot:Subscribe of "{other("update/delta")}": no policy statement allows it; client "{ana.thing}", thing {ana.thing}' in words
    lines = [line for line in hub.log().splitlines() if "refused: " in line]
    assert len(lines) == len(expected)
    for line, (action, resource, reason, _will) in zip(lines, expected, strict=True):
        assert all(f'{name}="{value}"' in line for name, value in (("action", action), ("resource", resource), ("reason", reason))), line
    assert hub.thing("ana")["refusal"] == {name: value for name, value in kept[-1].items() if name != "kind"}
    assert hub.thing("ben")["refusal"] is None
    assert events(hub, "--kind", "registration") == []


@VERSIONS
@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ("UPDATE certificate SET active = 0", "certificate_inactive", "the certificate is INACTIVE"),
        ("UPDATE certificate SET thing = NULL", "thing_not_attached", "the policy is about the thing of the connection"),
        ("DELETE FROM attached_policy", "no_policy", "no policy is attached to the certificate"),
        ("DELETE FROM certificate", "certificate_unknown", "the certificate is not in the registry"),
    ],
)
def test_the_refusal_names_the_defect_of_a_certificate(hub, version, change, reason, detail):
    bundle = hub.onboard("ana")
    hub.stop()
    with sqlite3.connect(hub.data / "hub.db") as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(change)
    database.close()
    hub.start()
    speaker = Speaker(bundle, version)
    assert speaker.connect() == (135 if version == "5" else CLOSED)
    speaker.leave()
    [event] = refusals(hub, 1)
    assert (event["action"], event["resource"], event["reason"]) == ("iot:Connect", bundle.thing, reason)
    assert detail in event["detail"]
    # The refusal is on the thing, even if the certificate is not attached to it.
    assert hub.thing("ana")["refusal"]["at"] == event["at"]


def test_a_flood_of_refusals_fills_neither_log_nor_disk_and_hides_no_other_client(hub):
    ana, ben = hub.onboard("ana"), hub.onboard("ben")
    loud, quiet = Speaker(ana, "5").connected(), Speaker(ben, "5").connected()
    filters = [f"a/{number}/\x1b[31m{'x' * 40}" for number in range(4_000)]
    for start in range(0, len(filters), 8):
        assert loud.subscribe(*filters[start : start + 8]) == [135] * 8
    assert quiet.subscribe("b") == [135]
    loud.leave()
    quiet.leave()
    eventually("the refusal of the quiet client is recorded", lambda: events(hub)[-1]["resource"] == "b")
    kept = events(hub, "--last", "1000")
    assert len(kept) < 20 and [event["resource"] for event in kept if event["thing"] == ben.thing] == ["b"]
    lines = [line for line in hub.log().splitlines() if "refused: " in line]
    assert len(lines) == len(kept)
    assert "\x1b" not in hub.log() + json.dumps(kept, ensure_ascii=False)
    # Refusals without an event of their own are counted in a later one.
    counted = lambda: sum(event["times"] for event in events(hub, "--last", "1000") if event["thing"] == ana.thing)
    eventually("all are counted", lambda: counted() == len(filters))
