"""The scripts, run in a copy of the repository. Only foreign programs (aws, sam, ask, cargo, uname) are replaced by
stand-ins, which record their arguments."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack import ROOT, SKILL_ID, template

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:onething-Function"
REGISTER_URL = "https://abc123.execute-api.us-east-1.amazonaws.com/register"
ENDPOINT = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"
SECRET = "the-client-secret"

STAND_IN = """#!{python}
import json, os, pathlib, shutil, sys
name, args, here = pathlib.Path(sys.argv[0]).name, sys.argv[1:], pathlib.Path.cwd()
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([name, *args]) + "\\n")
said = " ".join([name, *args])
if "iot describe-endpoint" in said:
    print("{endpoint}")
elif "describe-stacks" in said:
    print("{register}" if "RegisterUrl" in said else "{function}")
elif "ssm get-parameters-by-path" in said:
    if os.environ.get("CLOSED_STORE"):
        sys.exit("AccessDeniedException")
    print("\t".join(os.environ.get("PARAMETERS", "").split()))
elif "ssm put-parameter" in said:
    value = args[args.index("--value") + 1]
    kept = pathlib.Path(os.environ["STORE"]) / args[args.index("--name") + 1].strip("/")
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(value.removeprefix("file://"), kept)
elif said.startswith("cargo run"):
    print("type lamp\\nprefix Lamp-\\npolicy LampPolicy\\npolicy OneUserOneThing\\ntype 3d-printer\\nprefix 3D_Printer-")
    sys.exit(os.environ.get("FAULTS"))
elif "create-thing-type" in said or "get-policy" in said:
    sys.exit(1 if os.environ.get("NOTHING_THERE") else 0)
elif "describe-thing-type" in said:
    if not os.environ.get("THING_TYPE_IS_THERE"):
        sys.exit(1)
    print(os.environ.get("SEARCHABLE", "UserId AlexaUser Unfinished").replace(" ", "\\t"))
elif "describe-stack-resource" in said:
    print(os.environ.get("THING_TYPE_OF_THE_STACK", "None"))
elif "get-identity-verification-attributes" in said:
    print("Success" if args[args.index("--identities") + 1] in os.environ.get("VERIFIED", "example.com").split() else "None")
elif "sesv2 get-account" in said:
    print(os.environ.get("PRODUCTION", "True"))
elif said == "uname -s":
    print("Linux")
elif said == "uname -m":
    print("x86_64")
elif said.startswith("cargo lambda") and os.environ.get("NO_CARGO_LAMBDA"):
    sys.exit(101)
elif said.startswith("cargo build"):
    built = here / "target/release"
    built.mkdir(parents=True, exist_ok=True)
    (built / "onething").write_text("a program with GLIBC_2.34")
elif said.startswith("cargo lambda build"):
    built = here / "target/lambda/onething"
    built.mkdir(parents=True, exist_ok=True)
    (built / "bootstrap").write_text(os.environ.get("PROGRAM", "a program with GLIBC_2.17 and GLIBC_2.34"))
elif said.startswith("ask deploy"):
    shutil.copytree(here, os.environ["UPLOADED"], dirs_exist_ok=True)
    (here / ".ask").mkdir(exist_ok=True)
    (here / ".ask/ask-states.json").write_text(json.dumps({{"profiles": {{"default": {{"skillId": "{skill}"}}}}}}))
"""


class Maker:
    """A user with a clone of the repository, a shell and the tools."""

    def __init__(self, folder):
        self.clone = folder / "clone"
        self.uploaded = folder / "uploaded"
        self.log = folder / "calls"
        self.store = folder / "store"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("infra", "skill-package"):
            shutil.copytree(ROOT / name, self.clone / name)
        for name in ("device.toml", "ask-resources.json"):
            shutil.copy(ROOT / name, self.clone)
        # Other tools of the machine cannot be called by accident.
        for tool in "bash cat chmod cp dirname env grep head mkdir mktemp node rm sed sort tail".split():
            found = shutil.which(tool)
            assert found, f"{tool} is needed to run the scripts"
            (self.bin / tool).symlink_to(found)
        for tool in ("aws", "sam", "ask", "cargo", "uname"):
            self.install(tool)

    def install(self, tool):
        path = self.bin / tool
        path.write_text(
            STAND_IN.format(
                python=sys.executable, endpoint=ENDPOINT, function=FUNCTION_ARN, register=REGISTER_URL, skill=SKILL_ID
            )
        )
        path.chmod(0o755)

    def run(self, *command, **variables):
        return subprocess.run(
            command,
            cwd=self.clone,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.clone),
                "CALLS": str(self.log),
                "UPLOADED": str(self.uploaded),
                "STORE": str(self.store),
                "AWS_REGION": "us-east-1",
            }
            | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def calls(self, *start):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if tuple(call[: len(start)]) == start]

    def parameters(self):
        """The parameters of `sam deploy`, parsed as the SAM CLI parses them."""
        (call,) = self.calls("sam", "deploy")
        given = call[call.index("--parameter-overrides") + 1 :]
        pairs = re.findall(r'([A-Za-z0-9]+)="((?:\\.|[^"\\])*)"', " ".join(given))
        assert len(pairs) == len(given)
        return {name: value.replace('\\"', '"') for name, value in pairs}


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path)


@pytest.mark.parametrize("script", ["deploy", "link-skill"])
def test_the_scripts_are_executable_and_clean(script):
    path = ROOT / "infra" / script
    assert os.access(path, os.X_OK)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_command_deploys_everything(maker):
    done = maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="My Printer <printer@example.com>")
    assert done.returncode == 0, done.stderr
    assert maker.parameters() == {
        "SkillId": SKILL_ID,
        "IotEndpoint": ENDPOINT,
        "MailFrom": "printer@example.com",
        "MailFromName": "My Printer",
        "MailReplyTo": "",
        "MailIdentity": "example.com",
        "MailTestIdentity": "",
        "LwaClientId": "",
        "ThingType": "3d-printer",
        "ThingTypeIsThere": "false",
        "ThingPrefix": "3D_Printer-",
        "PolicyName": "OneUserOneThing",
        "LeaseSeconds": "15",
        "RetentionDays": "30",
        "Architecture": "arm64",
        "LogLevel": "INFO",
        "LogRetentionDays": "30",
        "AlarmEmail": "",
        "Environment": "prod",
        "RegisterBurst": "20",
        "RegisterRate": "10",
        "RegisterConcurrency": "0",
        "RegisterTermsAreThere": "false",
        "RegisterThingPrefix": "",
        "RegisterHookFunction": "",
    }
    code = template()["Globals"]["Function"]["CodeUri"]
    package = (maker.clone / "infra" / code).resolve()
    assert {file.name for file in package.iterdir()} == {"bootstrap", "device.toml"}
    assert os.access(package / "bootstrap", os.X_OK)
    assert FUNCTION_ARN in done.stdout
    assert REGISTER_URL in done.stdout


def test_two_environments_share_no_name(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com")
    prod = maker.parameters() | {"stack": stack_of(maker)}
    maker.log.unlink()
    done = maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", ENVIRONMENT="dev")
    assert done.returncode == 0, done.stderr
    dev = maker.parameters() | {"stack": stack_of(maker)}
    assert {name: (prod[name], dev[name]) for name in prod if prod[name] != dev[name]} == {
        "stack": ("onething", "onething-dev"),
        "Environment": ("prod", "dev"),
        "ThingPrefix": ("3D_Printer-", "dev-3D_Printer-"),
        "PolicyName": ("OneUserOneThing", "OneUserOneThing-dev"),
        "RegisterThingPrefix": ("", "dev-"),
    }
    # A permission on things with the prefix of prod does not cover those of dev.
    assert not dev["ThingPrefix"].startswith(prod["ThingPrefix"])


def stack_of(maker):
    (call,) = maker.calls("sam", "deploy")
    return call[call.index("--stack-name") + 1]


def test_an_environment_is_dev_or_prod(maker):
    done = maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", ENVIRONMENT="staging")
    assert done.returncode != 0
    assert "ENVIRONMENT is 'staging'" in done.stderr
    assert not maker.calls("sam")


def test_the_events_of_the_registry_are_switched_on(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com")
    (call,) = maker.calls("aws", "iot", "update-event-configurations")
    switched = json.loads(call[call.index("--event-configurations") + 1])
    assert switched.keys() >= {"THING", "CERTIFICATE"}
    assert all(configuration == {"Enabled": True} for configuration in switched.values())


POLICY = """[registration]
keys = "device"

[[token]]
name = "factory-1"
types = ["lamp"]
"""


def test_the_registration_policy_is_stored_without_appearing_in_arguments(maker):
    policy = maker.clone / "register.toml"
    policy.write_text(POLICY + f'sha256 = "{"5" * 64}"\n')
    done = maker.run(
        "infra/deploy",
        SKILL_ID=SKILL_ID,
        MAIL_FROM="a@example.com",
        DEPLOY_REGISTER_TERMS=str(policy),
        PARAMETERS="/onething/onething/register/10",
    )
    assert done.returncode == 0, done.stderr
    (call,) = maker.calls("aws", "ssm", "put-parameter")
    assert call[call.index("--name") + 1] == "/onething/onething/register/10"
    assert call[call.index("--type") + 1] == "SecureString"
    assert (maker.store / "onething/onething/register/10").read_text() + "\n" == policy.read_text()
    assert "5" * 64 not in done.stdout + done.stderr + maker.log.read_text()
    assert maker.parameters()["RegisterTermsAreThere"] == "true"
    (judged,) = maker.calls("cargo", "run")
    assert judged[-2:] == ["--judge-terms", str(policy)]


def test_thing_types_of_the_policy_are_created_and_missing_policies_reported(maker):
    policy = maker.clone / "register.toml"
    policy.write_text(POLICY)
    variables = {"SKILL_ID": SKILL_ID, "MAIL_FROM": "a@example.com", "DEPLOY_REGISTER_TERMS": str(policy)}
    done = maker.run("infra/deploy", **variables)
    assert done.returncode == 0, done.stderr
    # The new thing type is searchable as that of the stack, which is not created here.
    (made,) = maker.calls("aws", "iot", "create-thing-type")
    (thing_type,) = (r for r in template()["Resources"].values() if r["Type"] == "AWS::IoT::ThingType")
    searchable = ",".join(thing_type["Properties"]["ThingTypeProperties"]["SearchableAttributes"])
    assert made[3:] == ["--thing-type-name", "lamp", "--thing-type-properties", f"searchableAttributes={searchable}"]
    assert maker.calls("aws", "iot", "get-policy") == [["aws", "iot", "get-policy", "--policy-name", "LampPolicy"]]
    assert "LampPolicy" not in done.stderr

    done = maker.run("infra/deploy", **variables, NOTHING_THERE="yes")
    assert done.returncode == 0, done.stderr
    assert "There is no IoT policy 'LampPolicy'" in done.stderr and "The thing type 'lamp' is there" in done.stderr


def test_a_long_policy_is_split_and_older_parts_are_deleted(maker):
    policy = maker.clone / "register.toml"
    policy.write_text("".join(f'[[serial]]\nsha256 = "{number:064x}"\ntype = "lamp"\n\n' for number in range(150)))
    path = "/onething/onething/register/"
    done = maker.run(
        "infra/deploy",
        SKILL_ID=SKILL_ID,
        MAIL_FROM="a@example.com",
        DEPLOY_REGISTER_TERMS=str(policy),
        PARAMETERS=" ".join(path + part for part in ("10", "11", "12", "13", "14")),
    )
    assert done.returncode == 0, done.stderr
    parts = sorted((maker.store / path.strip("/")).iterdir())
    assert [part.name for part in parts] == ["10", "11", "12", "13"]
    assert all(0 < part.stat().st_size <= 4096 for part in parts)
    # The program joins the parts with newlines.
    assert "\n".join(part.read_text() for part in parts) + "\n" == policy.read_text()
    assert maker.calls("aws", "ssm", "delete-parameter") == [["aws", "ssm", "delete-parameter", "--name", path + "14"]]


def test_an_existing_policy_is_used_and_not_changed(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", PARAMETERS="/onething/onething/register/10")
    assert maker.parameters()["RegisterTermsAreThere"] == "true"
    assert not maker.calls("aws", "ssm", "put-parameter") and not maker.calls("aws", "ssm", "delete-parameter")
    assert not maker.calls("cargo", "run")


def test_a_faulty_policy_is_not_deployed(maker):
    policy = maker.clone / "register.toml"
    policy.write_text("[endpoint")
    variables = {"SKILL_ID": SKILL_ID, "MAIL_FROM": "a@example.com"}
    done = maker.run("infra/deploy", **variables, DEPLOY_REGISTER_TERMS=str(policy), FAULTS="register.toml has 1 fault(s)")
    assert done.returncode != 0
    assert "1 fault(s)" in done.stderr and "is not fine" in done.stderr
    assert not maker.calls("sam") and not maker.calls("aws", "ssm", "put-parameter")

    done = maker.run("infra/deploy", **variables, DEPLOY_REGISTER_TERMS="nowhere.toml")
    assert done.returncode != 0
    assert "no such file" in done.stderr


def test_a_policy_for_things_outside_the_prefix_is_not_deployed(maker):
    policy = maker.clone / "register.toml"
    policy.write_text(POLICY)
    variables = {"SKILL_ID": SKILL_ID, "MAIL_FROM": "a@example.com", "DEPLOY_REGISTER_TERMS": str(policy)}
    done = maker.run("infra/deploy", **variables, REGISTER_THING_PREFIX="Press-")
    assert done.returncode != 0
    assert "'Lamp-'" in done.stderr and "'Press-' (REGISTER_THING_PREFIX)" in done.stderr, done.stderr
    assert not maker.calls("sam") and not maker.calls("aws", "ssm", "put-parameter")


def test_an_unreadable_parameter_store_stops_the_deployment(maker):
    done = maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", CLOSED_STORE="yes")
    assert done.returncode != 0
    assert "cannot be read" in done.stderr and not maker.calls("sam")


def test_every_parameter_of_the_template_is_given_and_fits(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="printer@example.com")
    declared = template()["Parameters"]
    given = maker.parameters()
    assert given.keys() == declared.keys()
    for name, value in given.items():
        if "AllowedPattern" in declared[name]:
            assert re.search(declared[name]["AllowedPattern"], value), name
        if "AllowedValues" in declared[name]:
            assert value in map(str, declared[name]["AllowedValues"]), name
        if "Default" in declared[name]:
            assert value == str(declared[name]["Default"]), name


def test_the_address_is_the_identity_if_it_is_verified(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.org", VERIFIED="a@example.org")
    assert maker.parameters()["MailIdentity"] == "a@example.org"


def test_the_deployment_warns_about_the_sandbox_of_ses(maker):
    done = maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.org", PRODUCTION="False")
    assert done.returncode == 0
    assert "does not know 'example.org' as verified" in done.stderr
    assert "SES is in its sandbox" in done.stderr


@pytest.mark.parametrize(
    ("of_the_stack", "is_there"), [("3d-printer", "false"), ("None", "true")], ids=["its own", "left by another"]
)
def test_a_thing_type_that_outlived_its_stack_is_used_again(maker, of_the_stack, is_there):
    maker.run(
        "infra/deploy",
        SKILL_ID=SKILL_ID,
        MAIL_FROM="a@example.com",
        THING_TYPE_IS_THERE="yes",
        THING_TYPE_OF_THE_STACK=of_the_stack,
    )
    assert maker.parameters()["ThingTypeIsThere"] == is_there


@pytest.mark.parametrize(
    ("searchable", "lacking"),
    [("UserId AlexaUser Unfinished", None), ("UserId", "AlexaUser"), ("UserIdAlexaUser Unfinished", "UserId"), ("None", "UserId")],
)
def test_the_deployment_warns_about_missing_searchable_attributes(maker, searchable, lacking):
    done = maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", THING_TYPE_IS_THERE="yes", SEARCHABLE=searchable
    )
    assert done.returncode == 0, done.stderr
    if lacking is None:
        assert "cannot be searched" not in done.stderr
    else:
        assert f"cannot be searched by {lacking}" in done.stderr
        (thing_type,) = (r for r in template()["Resources"].values() if r["Type"] == "AWS::IoT::ThingType")
        wanted = ",".join(thing_type["Properties"]["ThingTypeProperties"]["SearchableAttributes"])
        assert f"aws iot update-thing-type --thing-type-name 3d-printer --thing-type-properties searchableAttributes={wanted}" in done.stderr


def test_lease_and_retention_reach_the_stack(maker):
    maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", LEASE_SECONDS="20", RETENTION_DAYS="365"
    )
    given = maker.parameters()
    assert (given["LeaseSeconds"], given["RetentionDays"]) == ("20", "365")


@pytest.mark.parametrize(
    "variable", ["RETENTION_DAYS", "LEASE_SECONDS", "LOG_LEVEL", "ALARM_EMAIL", "ENVIRONMENT", "DEPLOY_REGISTER_TERMS"]
)
def test_the_usage_names_the_variable(maker, variable):
    assert re.search(rf"^  {variable}( |$)", maker.run("infra/deploy", "--help").stdout, re.MULTILINE)


def test_plain_cargo_is_used_on_a_machine_of_the_same_architecture(maker):
    done = maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", ARCHITECTURE="x86_64", NO_CARGO_LAMBDA="1"
    )
    assert done.returncode == 0, done.stderr
    assert maker.calls("cargo", "build") == [["cargo", "build", "--release", "--package", "onething", "--bin", "onething"]]
    assert (maker.clone / "target/lambda/package/bootstrap").exists()


def test_plain_cargo_is_refused_on_another_machine(maker):
    done = maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", ARCHITECTURE="arm64", NO_CARGO_LAMBDA="1"
    )
    assert done.returncode != 0
    assert "cargo-lambda is not installed" in done.stderr
    assert not maker.calls("sam")


def test_a_program_that_lambda_could_not_start_is_not_deployed(maker):
    done = maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", PROGRAM="GLIBC_2.4 GLIBC_2.39 GLIBC_2.9"
    )
    assert done.returncode != 0
    assert "GLIBC_2.39" in done.stderr
    assert not maker.calls("sam")


def test_all_missing_prerequisites_are_reported_at_once(maker):
    for tool in ("aws", "sam", "cargo"):
        (maker.bin / tool).unlink()
    done = maker.run("infra/deploy", ARCHITECTURE="mips")
    assert done.returncode != 0
    for word in ("AWS CLI", "SAM CLI", "cargo", "MAIL_FROM", "mips"):
        assert word in done.stderr


def test_without_skill_and_ask_cli_the_maker_is_told_what_to_do(maker):
    (maker.bin / "ask").unlink()
    done = maker.run("infra/deploy", MAIL_FROM="a@example.com")
    assert done.returncode != 0
    assert "SKILL_ID is not set" in done.stderr
    assert not maker.calls("cargo", "lambda", "build")


def test_a_new_skill_has_no_endpoint_yet_and_its_id_is_kept(maker):
    done = maker.run("infra/link-skill", "new")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((maker.uploaded / "skill-package/skill.json").read_text())["manifest"]
    assert manifest["apis"]["custom"] == {"interfaces": []}
    assert "events" not in manifest
    assert not (maker.uploaded / "skill-package/accountLinking.json").exists()
    assert maker.run("infra/link-skill", "id").stdout == SKILL_ID + "\n"

    again = maker.run("infra/link-skill", "new")
    assert again.returncode != 0
    assert SKILL_ID in again.stderr


def test_from_nothing_to_a_linked_skill_with_one_command(maker):
    done = maker.run(
        "infra/deploy", MAIL_FROM="a@example.com", LWA_CLIENT_ID="amzn1.client", LWA_CLIENT_SECRET=SECRET
    )
    assert done.returncode == 0, done.stderr
    assert maker.parameters()["SkillId"] == SKILL_ID
    assert maker.parameters()["LwaClientId"] == "amzn1.client"

    whole = "".join(p.read_text() for p in maker.uploaded.rglob("*.json"))
    assert "${" not in whole
    manifest = json.loads((maker.uploaded / "skill-package/skill.json").read_text())["manifest"]
    assert manifest["apis"]["custom"]["endpoint"]["uri"] == FUNCTION_ARN
    assert manifest["events"]["endpoint"]["uri"] == FUNCTION_ARN
    linking = json.loads((maker.uploaded / "skill-package/accountLinking.json").read_text())
    assert linking["accountLinkingRequest"]["clientId"] == "amzn1.client"
    assert linking["accountLinkingRequest"]["clientSecret"] == SECRET
    assert maker.calls("ask", "smapi", "update-account-linking-info", "-s", SKILL_ID, "-g", "development")


def test_the_client_secret_is_in_no_file_of_the_clone_and_in_no_argument(maker):
    before = {file: file.read_bytes() for file in maker.clone.rglob("*") if file.is_file()}
    done = maker.run(
        "infra/link-skill",
        SKILL_ID=SKILL_ID,
        FUNCTION_ARN=FUNCTION_ARN,
        LWA_CLIENT_ID="amzn1.client",
        LWA_CLIENT_SECRET=SECRET,
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr + maker.log.read_text()
    assert {file: file.read_bytes() for file in maker.clone.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("variable", ["SKILL_ID", "FUNCTION_ARN", "LWA_CLIENT_ID", "LWA_CLIENT_SECRET"])
def test_linking_says_which_variable_is_missing(maker, variable):
    variables = {
        "SKILL_ID": SKILL_ID,
        "FUNCTION_ARN": FUNCTION_ARN,
        "LWA_CLIENT_ID": "amzn1.client",
        "LWA_CLIENT_SECRET": SECRET,
    }
    del variables[variable]
    done = maker.run("infra/link-skill", **variables)
    assert done.returncode != 0
    assert f"{variable} is not set" in done.stderr
    assert not maker.calls("ask")
