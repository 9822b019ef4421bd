"""Reads or prepares an AWS account, with Amazon's own SDK.

Reads one JSON object from standard input, and writes one to standard output. The field `do` names one of the functions
below; the other fields are its arguments.
"""

import io
import json
import re
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def clients(endpoint, region, access_key, secret_key):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )

    return client


def resolve(value, variables):
    """Resolves Fn::Sub in the file of the policy as CloudFormation does."""
    if isinstance(value, list):
        return [resolve(item, variables) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::Sub"}:
        text = re.sub(r"\$\{(AWS::\w+)\}", lambda found: variables[found.group(1)], value["Fn::Sub"])
        return text.replace("${!", "${")
    return {name: resolve(item, variables) for name, item in value.items()}


def prepare(client, given):
    """Creates the resources that the stack in infra/ creates before the first request."""
    iot = client("iot")
    if given["thing_type"]:
        iot.create_thing_type(
            thingTypeName=given["thing_type"],
            thingTypeProperties={"searchableAttributes": ["UserId", "AlexaUser", "Unfinished"]},
        )
    policy = None
    if given["policy_name"]:
        account = client("sts").get_caller_identity()["Account"]
        with open(given["policy_file"], encoding="utf-8") as file:
            policy = resolve(
                json.load(file),
                {"AWS::Partition": "aws", "AWS::Region": given["region"], "AWS::AccountId": account},
            )
        iot.create_policy(policyName=given["policy_name"], policyDocument=json.dumps(policy))
    for address in given["verified"]:
        client("ses").verify_email_identity(EmailAddress=address)
    if given["sandbox"]:
        client("sesv2").put_account_details(
            MailType="TRANSACTIONAL",
            WebsiteURL="https://skill.example.com",
            ProductionAccessEnabled=False,
        )
    return {"policy": policy}


def describe(client, given):
    """All resources in the account, not only those that a search would find."""
    iot = client("iot")
    data = client("iot-data")
    things = []
    for listed in pages(iot, "list_things", "things"):
        name = listed["thingName"]
        thing = iot.describe_thing(thingName=name)
        things.append(
            {
                "name": name,
                "type": thing.get("thingTypeName"),
                "attributes": thing.get("attributes", {}),
                "principals": iot.list_thing_principals(thingName=name)["principals"],
                "shadow": shadow(data, name),
            }
        )
    certificates = []
    for listed in pages(iot, "list_certificates", "certificates"):
        certificate = iot.describe_certificate(certificateId=listed["certificateId"])[
            "certificateDescription"
        ]
        arn = certificate["certificateArn"]
        certificates.append(
            {
                "id": certificate["certificateId"],
                "arn": arn,
                "status": certificate["status"],
                "pem": certificate["certificatePem"],
                "policies": [
                    policy["policyName"]
                    for policy in iot.list_attached_policies(target=arn)["policies"]
                ],
                "things": iot.list_principal_things(principal=arn)["things"],
            }
        )
    return {"things": things, "certificates": certificates}


def pages(iot, call, field):
    arguments = {}
    while True:
        page = getattr(iot, call)(**arguments)
        yield from page[field]
        following = page.get("nextToken") or page.get("nextMarker")
        if not following:
            return
        arguments = {"nextToken" if "nextToken" in page else "marker": following}


def shadow(data, name):
    try:
        return json.loads(data.get_thing_shadow(thingName=name)["payload"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise


def awaits(client, given):
    """Polls a shadow until its device has reported these values; others may be reported too. Returns the last shadow."""
    data, end = client("iot-data"), time.monotonic() + given["limit"]
    while True:
        document = shadow(data, given["thing"])
        if holds(((document or {}).get("state") or {}).get("reported"), given["reported"]):
            return {"shadow": document, "is_so": True}
        if time.monotonic() > end:
            return {"shadow": document, "is_so": False}
        time.sleep(0.1)


def holds(value, expected):
    """Whether a value is equal to the expected one; an object may have further fields."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(holds(value.get(name), wanted) for name, wanted in expected.items())
    return value == expected


def report(client, given):
    """Writes reported values over HTTPS, for an emulator without MQTT."""
    client("iot-data").update_thing_shadow(
        thingName=given["thing"],
        payload=json.dumps({"state": {"reported": given["reported"]}}),
    )
    return {}


def function(client, given):
    """Creates a Lambda function in Python with this source."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", given["source"])
    taken_by_lambda = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = client("iam").create_role(RoleName=given["name"], AssumeRolePolicyDocument=json.dumps(taken_by_lambda))
    client("lambda").create_function(
        FunctionName=given["name"],
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    return {}


def tables(client, given):
    """Creates tables for claim codes like that of the stack."""
    for name in given["names"]:
        client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "claim", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "claim", "AttributeType": "S"}],
        )
    return {}


def call(client, given):
    """Calls one operation; of the control plane of AWS IoT if no other service is named."""
    try:
        getattr(client(given.get("service") or "iot"), given["operation"])(**given["arguments"])
    except ClientError as error:
        return {"refused": error.response["Error"]["Code"]}
    return {}


def main():
    given = json.load(sys.stdin)
    client = clients(given["endpoint"], given["region"], given["access_key"], given["secret_key"])
    known = (prepare, describe, awaits, report, function, tables, call)
    (doing,) = (one for one in known if one.__name__ == given["do"])
    json.dump(doing(client, given), sys.stdout, default=str)


main()
