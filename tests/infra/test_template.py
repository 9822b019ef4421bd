"""The AWS stack: what it makes, what the function may do, what a device may do."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from policy_sentry.querying.actions import get_action_data

from stack import (
    ACCOUNT,
    PARAMETERS,
    POLICY,
    REGION,
    ROOT,
    SKILL_ID,
    TEMPLATE,
    as_list,
    device_policy,
    of_type,
    template,
    translated,
)

THING = "${iot:Connection.Thing.ThingName}"
ARN = f"arn:aws:iot:{REGION}:{ACCOUNT}:"


def lint(path):
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--regions", REGION, "--", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_is_lint_free():
    lint(TEMPLATE)


def test_the_template_is_lint_free_with_the_policy_in_place(tmp_path):
    # cfn-lint does not look behind AWS::Include.
    whole = template()
    whole["Resources"]["DevicePolicy"]["Properties"]["PolicyDocument"] = json.loads(POLICY.read_text())
    (tmp_path / "template.json").write_text(json.dumps(whole))
    lint(tmp_path / "template.json")


def test_the_template_takes_the_policy_from_its_file():
    (policy,) = of_type(translated(), "AWS::IoT::Policy").values()
    assert policy == {"PolicyName": "OneUserOneThing", "PolicyDocument": device_policy()}
    assert "iot:Connect" not in TEMPLATE.read_text()


# What the function is.


def test_only_the_skill_can_invoke_the_function():
    permissions = of_type(translated(), "AWS::Lambda::Permission").values()
    assert {p["Principal"]: p.get("EventSourceToken") for p in permissions} == {
        "alexa-appkit.amazon.com": SKILL_ID,
        "alexa-connectedhome.amazon.com": SKILL_ID,
    }
    for permission in permissions:
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["FunctionName"] == "Function"


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_function_is_small_and_ends_when_alexa_stops_listening(architecture):
    (function,) = of_type(translated(Architecture=architecture), "AWS::Lambda::Function").values()
    assert function["Runtime"] == "provided.al2023"
    assert function["Handler"] == "bootstrap"
    assert function["Architectures"] == [architecture]
    assert function["MemorySize"] == 256
    assert function["Timeout"] == 8
    assert function["Role"] == "<Role.Arn>"


def test_the_function_gets_its_variables_and_no_empty_ones():
    (function,) = of_type(translated(), "AWS::Lambda::Function").values()
    assert function["Environment"]["Variables"] == {
        "SKILL_ID": SKILL_ID,
        "IOT_ENDPOINT": PARAMETERS["IotEndpoint"],
        "MAIL_FROM": "printer@example.com",
        "THING_TYPE": "3d-printer",
        "THING_PREFIX": "3D_Printer-",
        "POLICY_NAME": "OneUserOneThing",
        "LEASE_SECONDS": "15",
    }


def test_the_function_gets_the_optional_variables_that_are_given():
    given = translated(MailFromName="My Printer", MailReplyTo="help@example.com", LwaClientId="amzn1.x")
    (function,) = of_type(given, "AWS::Lambda::Function").values()
    variables = function["Environment"]["Variables"]
    assert variables["MAIL_FROM"] == "My Printer <printer@example.com>"
    assert variables["MAIL_REPLY_TO"] == "help@example.com"
    assert variables["LWA_CLIENT_ID"] == "amzn1.x"


def test_the_defaults_are_those_of_the_device_model():
    device = tomllib.loads((ROOT / "device.toml").read_text())["device"]
    parameters = template()["Parameters"]
    assert parameters["ThingType"]["Default"] == device["thing_type"]
    assert parameters["ThingPrefix"]["Default"] == device["thing_prefix"]


def test_owners_can_be_found_by_user_id_and_things_outlive_the_stack():
    resources = translated()
    ((name, thing_type),) = of_type(resources, "AWS::IoT::ThingType").items()
    assert thing_type["ThingTypeName"] == "3d-printer"
    attributes = thing_type["ThingTypeProperties"]["SearchableAttributes"]
    assert "UserId" in attributes and len(attributes) <= 3
    assert resources[name]["DeletionPolicy"] == "Retain"
    assert resources["DevicePolicy"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_a_thing_type_that_is_there_is_not_made_again():
    assert not of_type(translated(ThingTypeIsThere="true"), "AWS::IoT::ThingType")


# What the function writes, and who hears of it.


def test_the_log_is_json_in_a_group_of_its_own_that_forgets():
    resources = translated(LogRetentionDays="7", LogLevel="WARN")
    ((group_id, group),) = of_type(resources, "AWS::Logs::LogGroup").items()
    (function,) = of_type(resources, "AWS::Lambda::Function").values()
    assert group["RetentionInDays"] == "7"
    assert function["LoggingConfig"] == {
        "LogGroup": group_id,
        "LogFormat": "JSON",
        "ApplicationLogLevel": "WARN",
    }


def test_the_alarms_watch_what_the_log_says():
    resources = translated()
    watched = {
        (alarm["Namespace"], alarm["MetricName"])
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
    }
    patterns = {}
    for metric_filter in of_type(resources, "AWS::Logs::MetricFilter").values():
        assert metric_filter["LogGroupName"] in of_type(resources, "AWS::Logs::LogGroup")
        (metric,) = metric_filter["MetricTransformations"]
        assert (metric["MetricNamespace"], metric["MetricName"]) in watched
        patterns[metric["MetricName"]] = metric_filter["FilterPattern"]
    assert patterns == {
        "MakerMustAct": '{ $.fault = "maker" }',
        "MailRefused": '{ $.step = "deliver" }',
    }
    assert {name for space, name in watched if space == "AWS/Lambda"} >= {"Errors", "Throttles"}
    # The level that would silence the alarms cannot be chosen.
    assert "FATAL" not in template()["Parameters"]["LogLevel"]["AllowedValues"]


def test_alarms_are_mailed_only_to_an_address_that_is_given():
    silent = translated()
    assert not of_type(silent, "AWS::SNS::Topic")
    for alarm in of_type(silent, "AWS::CloudWatch::Alarm").values():
        assert "AlarmActions" not in alarm

    loud = translated(AlarmEmail="maker@example.com")
    ((topic_id, topic),) = of_type(loud, "AWS::SNS::Topic").items()
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "maker@example.com"}]
    for alarm in of_type(loud, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [topic_id]


# What the function may do.


def role_statements(**parameters):
    (role,) = of_type(translated(**parameters), "AWS::IAM::Role").values()
    assert "ManagedPolicyArns" not in role
    return [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def test_the_function_may_do_what_it_does_and_nothing_else():
    actions = [action for s in role_statements() for action in as_list(s["Action"])]
    assert sorted(actions) == [
        "iot:AttachPolicy",
        "iot:AttachThingPrincipal",
        "iot:CreateKeysAndCertificate",
        "iot:CreateThing",
        "iot:DeleteCertificate",
        "iot:DescribeThing",
        "iot:DetachPolicy",
        "iot:DetachThingPrincipal",
        "iot:GetThingShadow",
        "iot:ListThingPrincipals",
        "iot:UpdateCertificate",
        "iot:UpdateThing",
        "iot:UpdateThingShadow",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ses:SendRawEmail",
    ]


def rows(action):
    """The resource types of an action, in the table that AWS publishes."""
    service, name = action.split(":")
    found = (get_action_data(service, name) or {}).get(service, [])
    # The table is searched without regard to case, and IAM does not mind either.
    # A reader does.
    assert found and found[0]["action"] == action, f"there is no action {action}"
    return found


def takes(row, resource):
    """Whether a resource of a statement is of the type of a row."""
    form = row["resource_arn_format"]
    if form == "*":
        return resource == "*"
    pattern = "".join(
        "[^:]+" if part in ("${Partition}", "${Region}", "${Account}") else ".+" if part[:2] == "${" else re.escape(part)
        for part in re.split(r"(\$\{\w+\})", form)
    )
    return re.fullmatch(pattern, resource) is not None


@pytest.mark.parametrize(
    "parameters", [{}, {"MailTestIdentity": "maker@example.org"}], ids=["plain", "with a test identity"]
)
def test_every_permission_exists_and_takes_its_resources_and_conditions(parameters):
    for statement in role_statements(**parameters):
        assert statement["Effect"] == "Allow"
        keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                of_that_type = [row for row in rows(action) if takes(row, resource)]
                assert of_that_type, f"{action} does not take {resource}"
                assert keys <= set(of_that_type[0]["condition_keys"]), f"{action} does not know all of {keys}"


def test_permissions_end_at_our_things_our_mail_and_our_log():
    resources = {
        action: as_list(s["Resource"]) for s in role_statements() for action in as_list(s["Action"])
    }
    things = f"{ARN}thing/3D_Printer-*"
    for action, where in resources.items():
        if "Thing" in action and not action.endswith("ThingPrincipal"):
            assert where == [things], action
    assert [a for a, where in resources.items() if "*" in where] == ["iot:CreateKeysAndCertificate"]

    (attach,) = (s for s in role_statements() if "iot:AttachThingPrincipal" in as_list(s["Action"]))
    assert attach["Condition"] == {"ArnLike": {"iot:thingArn": things}}

    (mail,) = (s for s in role_statements() if "ses:SendRawEmail" in as_list(s["Action"]))
    assert mail["Resource"] == [f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com"]
    assert mail["Condition"] == {"StringEquals": {"ses:FromAddress": "printer@example.com"}}

    assert resources["logs:PutLogEvents"] == [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:LogGroup:log-stream:*"]


# What a device may do.


def test_the_device_policy_fits_into_a_policy():
    # AWS counts without white space. Names longer than any that AWS has now
    # leave room for every partition and Region.
    text = re.sub(r"\s", "", json.dumps(device_policy()))
    text = text.replace(":aws:", ":aws-us-gov-x:").replace(REGION, "ap-northeast-99")
    assert len(text) <= 2048


def test_the_device_policy_uses_actions_that_exist_on_resources_they_take():
    for statement in device_policy()["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                assert any(takes(row, resource) for row in rows(action)), f"{action} does not take {resource}"


def test_the_device_policy_names_its_own_region_and_account():
    written = POLICY.read_text()
    assert set(re.findall(r'"(arn:[^/]*):\w+/', written)) == {
        "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}"
    }
    for statement in device_policy()["Statement"]:
        for resource in as_list(statement["Resource"]):
            assert resource.startswith(ARN)


def test_a_device_connects_only_as_the_thing_it_is_attached_to():
    (connect,) = (s for s in device_policy()["Statement"] if "iot:Connect" in as_list(s["Action"]))
    assert as_list(connect["Action"]) == ["iot:Connect"]
    assert as_list(connect["Resource"]) == [f"{ARN}client/{THING}"]
    assert connect["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}


def test_the_only_wildcards_are_what_the_shadow_says_to_its_device():
    wild = {
        (action, resource.removeprefix(ARN))
        for s in device_policy()["Statement"]
        for action in as_list(s["Action"])
        for resource in as_list(s["Resource"])
        if "*" in action + resource or "?" in resource or re.search(r"[#+]", resource)
    }
    assert wild == {
        ("iot:Receive", f"topic/$aws/things/{THING}/shadow/get/*"),
        ("iot:Receive", f"topic/$aws/things/{THING}/shadow/update/*"),
    }


def test_every_resource_of_the_device_policy_belongs_to_its_thing():
    for statement in device_policy()["Statement"]:
        for resource in as_list(statement["Resource"]):
            assert re.fullmatch(
                rf"(client/{re.escape(THING)}|topic(filter)?/\$aws/things/{re.escape(THING)}/shadow/.+)",
                resource.removeprefix(ARN),
            ), resource


def allowed(action, resource, thing="A"):
    """The rules of an IoT policy: `*` crosses slashes, MQTT wildcards are letters."""
    for statement in device_policy()["Statement"]:
        if action in as_list(statement["Action"]):
            for pattern in as_list(statement["Resource"]):
                pattern = re.escape(pattern.replace(THING, thing)).replace(r"\*", ".*")
                if re.fullmatch(pattern, ARN + resource):
                    return True
    return False


SHADOW = "$aws/things/A/shadow"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iot:Connect", "client/A"),
        ("iot:Publish", f"topic/{SHADOW}/get"),
        ("iot:Publish", f"topic/{SHADOW}/update"),
        *(
            (action, f"{kind}/{SHADOW}/{answer}")
            for action, kind in [("iot:Subscribe", "topicfilter"), ("iot:Receive", "topic")]
            for answer in ["get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta"]
        ),
    ],
)
def test_a_device_can_use_its_shadow(action, resource):
    assert allowed(action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iot:Connect", "client/B"),
        ("iot:Connect", "client/A2"),
        ("iot:Publish", "topic/$aws/things/B/shadow/update"),
        ("iot:Publish", f"topic/{SHADOW}/delete"),
        ("iot:Publish", f"topic/{SHADOW}/name/other/update"),
        ("iot:Publish", f"topic/{SHADOW}/update/accepted"),
        ("iot:Publish", "topic/$aws/things/A/jobs/start-next"),
        ("iot:Publish", "topic/anything"),
        ("iot:Subscribe", "topicfilter/#"),
        ("iot:Subscribe", "topicfilter/$aws/things/+/shadow/update/accepted"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/#"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/update/+"),
        ("iot:Subscribe", "topicfilter/$aws/things/B/shadow/update/delta"),
        ("iot:Subscribe", "topicfilter/$aws/events/presence/connected/+"),
        ("iot:Receive", "topic/$aws/things/B/shadow/update/delta"),
        ("iot:Receive", "topic/$aws/things/A/jobs/notify"),
        ("iot:RetainPublish", f"topic/{SHADOW}/update"),
    ],
)
def test_a_device_can_do_nothing_else(action, resource):
    assert not allowed(action, resource)
