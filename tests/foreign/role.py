"""Creates a user with exactly the permissions of a role of the stack.

Reads the role from infra/template.yaml, resolves it as CloudFormation does, and creates a user with the name and the
policy of the role. Standard input: {"template", "parameters", "endpoint", "region", "access_key", "secret_key"} and,
for another role than that of the skill function, its logical id as "role"; standard output: the keys of the user.
"""

import json
import re
import sys

import boto3
import yaml


class Template(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation, read as their long forms."""


def function(loader, tag, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {"Ref" if tag == "Ref" else f"Fn::{tag}": value}


Template.add_multi_constructor("!", function)
NOTHING = object()

# The key of the conditions of the template in the map of names.
CONDITIONS = object()

# The role of the skill function.
VOICE = "Role"

# ministack 1.5.33 checks these actions against the thing or against `*`. AWS checks them against the certificate, the
# client, the mail identity and the path, as the template has them.
CHECKED_ELSEWHERE = {
    "iot:AttachPolicy",
    "iot:DetachPolicy",
    "iot:AttachThingPrincipal",
    "iot:DetachThingPrincipal",
    "iot:ListPrincipalThings",
    "iot:GetConnection",
    "iot:DeleteConnection",
    "ses:SendRawEmail",
    "ssm:GetParametersByPath",
}


def resolve(value, known):
    if isinstance(value, list):
        return [item for item in (resolve(one, known) for one in value) if item is not NOTHING]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return NOTHING if value["Ref"] == "AWS::NoValue" else known[value["Ref"]]
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([\w:]+)\}", lambda found: known[found.group(1)], value["Fn::Sub"])
    if set(value) == {"Fn::If"}:
        condition, then, otherwise = value["Fn::If"]
        return resolve(then if holds(known[CONDITIONS][condition], known) else otherwise, known)
    return {name: resolve(item, known) for name, item in value.items()}


def holds(condition, known):
    ((function, arguments),) = condition.items()
    if function == "Fn::Not":
        return not holds(arguments[0], known)
    assert function == "Fn::Equals", function
    left, right = (str(resolve(side, known)) for side in arguments)
    return left == right


def as_checked(statement):
    """A statement in the form that has the same meaning in the emulator."""
    # The emulator knows neither iot:thingArn nor ses:FromAddress.
    statement = {name: value for name, value in statement.items() if name not in ("Condition", "Sid")}
    actions = statement["Action"]
    actions = {actions} if isinstance(actions, str) else set(actions)
    for some, resource in (
        (actions - CHECKED_ELSEWHERE, statement["Resource"]),
        (actions & CHECKED_ELSEWHERE, "*"),
    ):
        if some:
            yield statement | {"Action": sorted(some), "Resource": resource}


def main():
    given = json.load(sys.stdin)
    with open(given["template"], encoding="utf-8") as file:
        template = yaml.load(file, Template)

    def client(service):
        return boto3.client(
            service,
            endpoint_url=given["endpoint"],
            region_name=given["region"],
            aws_access_key_id=given["access_key"],
            aws_secret_access_key=given["secret_key"],
        )

    # A reference to a resource is its logical id.
    known = {name: name for name in template["Resources"]}
    known.update({name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()})
    known.update(given["parameters"])
    known.update(
        {
            "AWS::Partition": "aws",
            "AWS::Region": given["region"],
            "AWS::AccountId": client("sts").get_caller_identity()["Account"],
        }
    )
    known["AWS::StackName"] = "onething"
    known[CONDITIONS] = template["Conditions"]
    name = given.get("role") or VOICE
    role = template["Resources"][name]
    assert role["Type"] == "AWS::IAM::Role", f"{name} is no role"
    iam = client("iam")
    iam.create_user(UserName=name)
    for policy in role["Properties"]["Policies"]:
        document = resolve(policy["PolicyDocument"], known)
        document["Statement"] = [
            checked for statement in document["Statement"] for checked in as_checked(statement)
        ]
        iam.put_user_policy(
            UserName=name,
            PolicyName=policy["PolicyName"],
            PolicyDocument=json.dumps(document),
        )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    json.dump({"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}, sys.stdout)


main()
