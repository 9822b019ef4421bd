"""The scripts, run for real in a copy of the repository. Only the programs of
other people (aws, sam, ask, cargo, uname) are stand-ins, which write down what they
were called with."""

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
    print("{function}")
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
    """Somebody with a clone, a shell and the tools."""

    def __init__(self, folder):
        self.clone = folder / "clone"
        self.uploaded = folder / "uploaded"
        self.log = folder / "calls"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("infra", "skill-package"):
            shutil.copytree(ROOT / name, self.clone / name)
        for name in ("device.toml", "ask-resources.json"):
            shutil.copy(ROOT / name, self.clone)
        # No tool of the machine that runs the tests is called by accident.
        for tool in "bash cat chmod cp dirname env grep head mkdir mktemp node rm sed sort tail".split():
            found = shutil.which(tool)
            assert found, f"{tool} is needed to run the scripts"
            (self.bin / tool).symlink_to(found)
        for tool in ("aws", "sam", "ask", "cargo", "uname"):
            self.install(tool)

    def install(self, tool):
        path = self.bin / tool
        path.write_text(
            STAND_IN.format(python=sys.executable, endpoint=ENDPOINT, function=FUNCTION_ARN, skill=SKILL_ID)
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
        """What `sam deploy` was given, read as the SAM CLI reads it."""
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
    }
    code = template()["Globals"]["Function"]["CodeUri"]
    package = (maker.clone / "infra" / code).resolve()
    assert {file.name for file in package.iterdir()} == {"bootstrap", "device.toml"}
    assert os.access(package / "bootstrap", os.X_OK)
    assert FUNCTION_ARN in done.stdout


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


def test_the_address_itself_is_the_identity_where_it_is_verified(maker):
    maker.run("infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.org", VERIFIED="a@example.org")
    assert maker.parameters()["MailIdentity"] == "a@example.org"


def test_the_sandbox_of_ses_is_told_before_an_owner_meets_it(maker):
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
def test_a_thing_type_that_owners_could_not_be_found_by_is_told(maker, searchable, lacking):
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


def test_what_the_maker_says_about_the_life_of_an_identity_reaches_the_stack(maker):
    maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", LEASE_SECONDS="20", RETENTION_DAYS="365"
    )
    given = maker.parameters()
    assert (given["LeaseSeconds"], given["RetentionDays"]) == ("20", "365")


@pytest.mark.parametrize("variable", ["RETENTION_DAYS", "LEASE_SECONDS", "LOG_LEVEL", "ALARM_EMAIL"])
def test_the_usage_names_the_variable(maker, variable):
    assert re.search(rf"^  {variable} ", maker.run("infra/deploy", "--help").stdout, re.MULTILINE)


def test_plain_cargo_will_do_on_a_machine_like_the_functions(maker):
    done = maker.run(
        "infra/deploy", SKILL_ID=SKILL_ID, MAIL_FROM="a@example.com", ARCHITECTURE="x86_64", NO_CARGO_LAMBDA="1"
    )
    assert done.returncode == 0, done.stderr
    assert maker.calls("cargo", "build") == [["cargo", "build", "--release", "--package", "onething", "--bin", "onething"]]
    assert (maker.clone / "target/lambda/package/bootstrap").exists()


def test_plain_cargo_will_not_do_on_another_machine(maker):
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


def test_everything_that_is_missing_is_said_at_once(maker):
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


def test_the_client_secret_stays_out_of_the_clone_and_out_of_sight(maker):
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
