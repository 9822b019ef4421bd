"""Gives the function the rights of the stack's role, and no others.

Reads the role out of infra/template.yaml, resolves it as CloudFormation would,
and makes a user with its policy. Standard input: {"template", "parameters",
"endpoint", "region", "access_key", "secret_key"}; standard output: the keys of
that user.
"""

import json
import re
import sys

import boto3
import yaml


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, as their long forms."""


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

# ministack 1.5.33 checks these against the thing or against `*`. AWS checks
# them against the certificate and the mail identity, as the template has it.
CHECKED_ELSEWHERE = {
    "iot:AttachPolicy",
    "iot:DetachPolicy",
    "iot:AttachThingPrincipal",
    "iot:DetachThingPrincipal",
    "ses:SendRawEmail",
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
        # Every condition of the role asks whether a parameter was given.
        condition, given, missing = value["Fn::If"]
        return resolve(given if known.get(condition.removeprefix("Has")) else missing, known)
    return {name: resolve(item, known) for name, item in value.items()}


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

    known = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    known.update(given["parameters"])
    known.update(
        {
            "AWS::Partition": "aws",
            "AWS::Region": given["region"],
            "AWS::AccountId": client("sts").get_caller_identity()["Account"],
            "LogGroup": "/onething/test",
        }
    )
    (role,) = [
        resource for resource in template["Resources"].values() if resource["Type"] == "AWS::IAM::Role"
    ]
    iam = client("iam")
    iam.create_user(UserName="function")
    for policy in role["Properties"]["Policies"]:
        document = resolve(policy["PolicyDocument"], known)
        for statement in document["Statement"]:
            # It knows neither iot:thingArn nor ses:FromAddress.
            statement.pop("Condition", None)
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            if CHECKED_ELSEWHERE.intersection(actions):
                statement["Resource"] = "*"
        iam.put_user_policy(
            UserName="function",
            PolicyName=policy["PolicyName"],
            PolicyDocument=json.dumps(document),
        )
    key = iam.create_access_key(UserName="function")["AccessKey"]
    json.dump({"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}, sys.stdout)


main()
