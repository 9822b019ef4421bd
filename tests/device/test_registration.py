"""Every way to register: from an empty state folder to a device that obeys commands."""

import hashlib
import hmac
import json
from base64 import b64encode
from pathlib import Path

import pytest

from home import Owner, credentials_of
from hub import eventually
from speaker import OK, Speaker

PRINTER = Path(__file__).resolve().parents[2] / "device.toml"
TOKEN = "the-token-of-a-whole-fleet"
UNGUESSABLE = "6f0f6c1e-4a6f-4d8e-8d0b-3f1c5a7e9b20"
GUESSABLE, SECRET = "SN-0001", "the secret of the first one"
KEY, NUMBERED = b"a key for all the numbers there are", "PR-000042"
ITS_SECRET = hmac.digest(KEY, NUMBERED.encode(), "sha256").hex()


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def endpoint(start_hub, tmp_path):
    policy = tmp_path / "register.toml"
    policy.write_text(f"""
[type.lamp]
prefix = "Lamp-"
policies = ["OneUserOneThing"]
attributes = ["version", "hardware"]
[[token]]
name = "factory-1"
sha256 = "{digest(TOKEN)}"
types = ["lamp"]
[[serial]]
sha256 = "{digest(UNGUESSABLE)}"
type = "lamp"
[[serial]]
serial = "{GUESSABLE}"
secret_sha256 = "{digest(SECRET)}"
type = "lamp"
[[serial_key]]
key = "{b64encode(KEY).decode()}"
prefix = "PR-"
type = "lamp"
""")
    return start_hub(policy=policy)


def obeys_its_owner(ana, agent):
    agent.is_("connected")
    assert agent.credentials()[1]["thingName"] == ana.thing()["thing"]
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    eventually("it prints", lambda: ana.reported().get("status") == "printing")
    assert ana.reported()["certificateId"] == agent.status()["certificateId"]


def test_registration_by_claim_code(endpoint, agent):
    ana = Owner(endpoint).links()
    card = endpoint.say(ana.user, "ask my printer to give me a code")["heard"]["card"]
    agent.do("claim", card["text"].splitlines()[0], "--register-url", f"{endpoint.http}/register")
    agent.run()
    obeys_its_owner(ana, agent)


def test_registration_by_claim_code_at_the_first_start(endpoint, agent):
    ana = Owner(endpoint).links()
    card = endpoint.say(ana.user, "ask my printer to give me a code")["heard"]["card"]
    started = {"ONETHING_DEVICE_CODE": card["text"].splitlines()[0], "ONETHING_DEVICE_REGISTER_URL": f"{endpoint.http}/register"}
    agent.run(**started)
    obeys_its_owner(ana, agent)
    # The code is used, and a restart does not claim it again.
    agent.stop()
    agent.run(**started).is_("connected")


def test_the_option_and_the_variable_of_version_0_1_still_work(endpoint, new_agent, tmp_path):
    ana = Owner(endpoint).links()
    file = tmp_path / "bearer"
    file.write_text(endpoint.post("/token", {"user": ana.user})["accessToken"])
    url = f"{endpoint.http}/register"
    new_agent().do("register", "--bearer-file", str(file), "--door", url)
    new_agent().do("register", "--bearer-file", str(file), ONETHING_DEVICE_DOOR=url)


def test_registration_by_access_token(endpoint, agent, tmp_path):
    ana = Owner(endpoint).links()
    token = endpoint.post("/token", {"user": ana.user})["accessToken"]
    file = tmp_path / "bearer"
    file.write_text(f"{token}\n")
    agent.do("register", "--bearer-file", str(file), "--register-url", f"{endpoint.http}/register")
    assert token not in agent.run().log()
    obeys_its_owner(ana, agent)


def test_renewal_of_the_mailed_certificate(endpoint, agent):
    ana = Owner(endpoint).links()
    agent.do("setup", str(ana.mail()))
    mailed = agent.status()["certificateId"]
    agent.do("renew")
    assert agent.status()["certificateId"] != mailed
    agent.run()
    obeys_its_owner(ana, agent)


NOBODYS = {
    "a token": ([], {"ONETHING_DEVICE_TOKEN": TOKEN}),
    "an unguessable serial number": ([], {"ONETHING_DEVICE_SERIAL": UNGUESSABLE}),
    "a serial number with its secret": ([], {"ONETHING_DEVICE_SERIAL": GUESSABLE, "ONETHING_DEVICE_SECRET": SECRET}),
    "a serial number with a secret of the key": (
        ["--attribute", "hardware=B"],
        {"ONETHING_DEVICE_SERIAL": NUMBERED, "ONETHING_DEVICE_SECRET": ITS_SECRET},
    ),
}


@pytest.mark.parametrize("by", NOBODYS)
def test_registration_without_an_owner(by, endpoint, agent):
    options, shown = NOBODYS[by]
    # The thing type is a lamp, so the agent needs a device model that makes it a printer; `register` stores it.
    agent.do("--name", "hall-7", "--device-model", str(PRINTER), "register", "--register-url", f"{endpoint.http}/register", *options, **shown)
    device = credentials_of(agent)
    assert device.thing == "hall-7" if by == "a token" else device.thing.startswith("Lamp-")
    # The device has no owner. The test writes the desired state with the credentials of the device.
    update = f"$aws/things/{device.thing}/shadow/update"
    other = Speaker(device, "5").connected().listens(f"{update}/accepted")
    command = {"id": "a-vase", "name": "print", "args": {"model": "vase", "copies": 1}, "expiresAt": 4_000_000_000}
    assert other.publish(update, {"state": {"desired": {"command": command, "nozzleTarget": 120}}}) == OK
    other.receive(f"{update}/accepted")
    other.leave()
    agent.run().is_("connected")

    def reported():
        return next(thing for thing in things(endpoint) if thing["thing"] == device.thing)["shadow"]["state"].get("reported", {})

    eventually("it prints", lambda: (reported().get("command", {}).get("id"), reported().get("status")) == ("a-vase", "printing"))
    eventually("the nozzle target is reported", lambda: reported().get("nozzleTarget") == 120)
    assert reported()["certificateId"] == agent.status()["certificateId"]


def things(hub):
    return json.loads(hub.get("/api/things"))["things"]


def test_wrong_credentials_are_refused(endpoint, new_agent):
    address = ["--register-url", f"{endpoint.http}/register"]
    for command, shown in [
        (["claim", "K7QF-93PD"], {}),
        (["register"], {"ONETHING_DEVICE_TOKEN": TOKEN[:-1]}),
        (["register"], {"ONETHING_DEVICE_BEARER": "Atza|nobody"}),
        (["register"], {"ONETHING_DEVICE_SERIAL": GUESSABLE}),
        (["register"], {"ONETHING_DEVICE_SERIAL": GUESSABLE, "ONETHING_DEVICE_SECRET": TOKEN}),
        (["register"], {"ONETHING_DEVICE_SERIAL": "PR-000043", "ONETHING_DEVICE_SECRET": ITS_SECRET}),
    ]:
        agent = new_agent()
        agent.fails(3, "", *command, *address, **shown)
        assert not (agent.state / "current").exists()
    assert things(endpoint) == []
