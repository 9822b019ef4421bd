"""The fixtures of events have the form in which the triggers of the stack send them."""

import json
import re

import pytest

from stack import ACCOUNT, REGION, ROOT, of_type, translated

FIXTURES = ROOT / "tests" / "fixtures"
OURS = [FIXTURES / "alexa" / "skill_disabled.json"] + [
    path for folder in ("ses", "sns", "eventbridge", "iot") for path in sorted((FIXTURES / folder).glob("*.json"))
]

every_event = pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def read(name):
    return json.loads((FIXTURES / name).read_text())


@every_event
def test_an_event_contains_no_real_address_or_account(path):
    text = path.read_text()
    assert set(re.findall(r"@([\w.-]+)", text)) <= {"example.com"}
    assert set(re.findall(r":(\d{12}):", text)) <= {ACCOUNT}


@pytest.mark.parametrize("path", sorted((FIXTURES / "ses").glob("*.json")), ids=lambda path: path.stem)
def test_an_event_of_ses_is_one_that_the_stack_subscribes_to_and_has_the_tags(path):
    event = read(f"ses/{path.name}")
    (destination,) = of_type(translated(), "AWS::SES::ConfigurationSetEventDestination").values()
    kind = event["eventType"].lower()
    assert kind in destination["EventDestination"]["MatchingEventTypes"]
    assert event.keys() == {"eventType", "mail", kind}
    tags = event["mail"]["tags"]
    assert all(isinstance(value, str) for values in tags.values() for value in values)
    (thing,), (certificate,) = tags["thing"], tags["certificate"]
    assert re.fullmatch("3D_Printer-[a-z2-7]{26}", thing)
    assert re.fullmatch("[0-9a-f]{64}", certificate)
    # SES allows no other characters in the value of a tag.
    assert re.fullmatch("[A-Za-z0-9_-]{1,256}", thing + certificate)


def test_a_bounce_may_be_permanent_or_transient():
    assert read("ses/bounce.json")["bounce"]["bounceType"] == "Permanent"
    assert read("ses/transient_bounce.json")["bounce"]["bounceType"] == "Transient"


def test_sns_delivers_the_event_of_ses_as_text():
    (record,) = read("sns/notification.json")["Records"]
    assert json.loads(record["Sns"]["Message"]) == read("ses/bounce.json")


def test_the_first_message_of_ses_is_no_event():
    notification, validation = (read(f"sns/{name}.json")["Records"][0] for name in ("notification", "validation"))
    assert validation.keys() == notification.keys()
    assert validation["Sns"].keys() == notification["Sns"].keys()
    with pytest.raises(json.JSONDecodeError):
        json.loads(validation["Sns"]["Message"])


def test_the_sweep_is_started_by_a_rule():
    event = read("eventbridge/scheduled.json")
    assert (event["detail-type"], event["source"], event["detail"]) == ("Scheduled Event", "aws.events", {})
    (rule_id,) = of_type(translated(), "AWS::Events::Rule")
    assert [resource.rsplit("-", 1)[0] for resource in event["resources"]] == [
        f"arn:aws:events:{REGION}:{ACCOUNT}:rule/onething-{rule_id}"
    ]


def test_the_event_of_a_report_has_the_fields_of_the_rule():
    event = read("iot/certificate_in_use.json")
    rule = of_type(translated(), "AWS::IoT::TopicRule")["SweepFunctionCertificateInUse"]["TopicRulePayload"]
    selected = rule["Sql"].partition(" FROM ")[0]
    assert re.findall(r" AS (\w+)", selected) == list(event)
    assert f"'{event['event']}' AS event" in selected
    assert re.fullmatch("3D_Printer-[a-z2-7]{26}", event["thing"])
    assert re.fullmatch("[0-9a-f]{64}", event["certificateId"])


def test_the_event_of_disabling_has_the_same_user_and_no_token():
    linked, disabled = (read(f"alexa/skill_{name}.json") for name in ("account_linked", "disabled"))
    assert disabled["context"] == linked["context"]
    assert "accessToken" not in json.dumps(disabled)
    assert disabled.keys() == linked.keys() == {"version", "context", "request"}
    assert disabled["request"].keys() == linked["request"].keys() - {"body"}
    assert disabled["request"]["eventCreationTime"] > linked["request"]["eventCreationTime"]
