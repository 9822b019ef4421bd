"""The AWS stack as CloudFormation sees it: the expanded SAM template with the device policy included and the
intrinsic functions resolved for given parameters."""

import json
import re
from pathlib import Path

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
POLICY = ROOT / "infra" / "device-policy.json"

REGION = "us-east-1"
ACCOUNT = "123456789012"
SKILL_ID = "amzn1.ask.skill.12345678-1234-1234-1234-123456789012"

# The parameters that every deployment sets. The others have defaults.
PARAMETERS = {
    "SkillId": SKILL_ID,
    "IotEndpoint": "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com",
    "MailFrom": "printer@example.com",
    "MailIdentity": "example.com",
}

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "onething",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": None,
}


def template():
    """The template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


def translated(**parameters):
    """The template after the SAM transform, resolved for the parameters."""
    source = template()
    # The translator accepts only packaged code. The package does not matter for these tests.
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    values = {
        name: str(declared["Default"])
        for name, declared in source["Parameters"].items()
        if "Default" in declared
    }
    values |= PARAMETERS | parameters
    session = boto3.session.Session(region_name=REGION)
    expanded = Translator({}, Parser(), boto_session=session).translate(source, values)
    return resolve(expanded, expanded, values)


def device_policy():
    """The device policy that AWS IoT receives."""
    return resolve(json.loads(POLICY.read_text()), {}, {})


def resolve(node, whole, values):
    """Resolves the intrinsic functions in use as CloudFormation does.

    A reference to a resource becomes its logical id, and an attribute of a resource is in angle brackets. An
    unknown function fails.
    """

    def lookup(name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in values:
            return values[name]
        assert name.split(".")[0] in whole.get("Resources", {}), f"{name} is not defined"
        return f"<{name}>" if "." in name else name

    def substitute(argument):
        # SAM writes the long form: a text and a map of variables.
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def value(match):
            name = match.group(1)
            if name in own:
                return str(walk(own[name]))
            return "${" + name[1:] + "}" if name.startswith("!") else str(lookup(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def holds(condition):
        ((function, argument),) = condition.items()
        match function:
            case "Fn::Not":
                return not holds(argument[0])
            case "Fn::Equals":
                left, right = (walk(side) for side in argument)
                return left == right
            case _:
                raise AssertionError(f"unknown function {function}")

    def walk(node):
        if isinstance(node, list):
            return [item for item in map(walk, node) if item is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            match name:
                case "Ref":
                    return lookup(argument)
                case "Fn::Sub":
                    return substitute(argument)
                case "Fn::GetAtt":
                    attribute = argument if isinstance(argument, str) else ".".join(argument)
                    return lookup(attribute)
                case "Fn::If":
                    condition, then, otherwise = argument
                    chosen = then if holds(whole["Conditions"][condition]) else otherwise
                    return walk(chosen)
                case "Fn::Transform":
                    assert argument["Name"] == "AWS::Include"
                    location = argument["Parameters"]["Location"]
                    return walk(json.loads((TEMPLATE.parent / location).read_text()))
                case _ if name.startswith("Fn::"):
                    raise AssertionError(f"unknown function {name}")
        return {key: value for key, value in ((k, walk(v)) for k, v in node.items()) if value is not None}

    resources = {
        name: walk(resource)
        for name, resource in whole.get("Resources", {}).items()
        if "Condition" not in resource or holds(whole["Conditions"][resource["Condition"]])
    }
    return resources if node is whole else walk(node)


def of_type(resources, kind):
    """The properties of the resources of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def as_list(value):
    """A list, since IAM accepts a single string in place of a list."""
    return value if isinstance(value, list) else [value]
