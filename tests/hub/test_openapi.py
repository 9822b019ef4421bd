"""The registration endpoint under Schemathesis: every response, to valid and to invalid requests, conforms to
`docs/register.openapi.json`.

The requests are deterministic: every run sends the same ones.
"""

import os
import subprocess
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from registration import TOKEN, csr, serial, policy
from hub import Hub

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/register.openapi.json"
PAGE = "https://setup.example.com"
# The document cannot demand that a text is a CSR with a valid signature, so the endpoint may refuse a request that the document
# allows.
UNSAYABLE = "positive_data_acceptance"
# 413 is a valid refusal, too.
CONFIGURATION = "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 405, 409, 413, 415, 429]\n"


@pytest.fixture
def endpoint(binary, tmp_path):
    """A function that starts a hub with the registration policy of `registration.py` and more settings, or without a policy for
    `None`."""
    hubs = []

    def opens(more):
        place = tmp_path / f"hub-{len(hubs)}"
        place.mkdir()
        file = None
        if more is not None:
            file = policy(place, ["ana"])
            file.write_text(f"[registration]\n{more}\n{file.read_text()}")
        hubs.append(Hub(binary, place, file).start())
        return hubs[-1]

    yield opens
    for hub in hubs:
        hub.stop()


@pytest.mark.parametrize("keys", ["device", "either"])
@pytest.mark.parametrize("authorization", [None, f"DeviceToken {TOKEN}", "Bearer of-nobody"])
def test_the_endpoint_conforms_to_its_document(endpoint, tmp_path, keys, authorization):
    hub = endpoint(f'per_source = 10000\nkeys = "{keys}"\norigin = "{PAGE}"')
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    headers = ["--header", f"Authorization: {authorization}"] if authorization else []
    done = subprocess.run(
        [
            Path(os.sys.executable).with_name("st"), "run", DOCUMENT, "--url", hub.http, "--checks", "all", "--exclude-checks", UNSAYABLE,
            "--phases", "examples,coverage,fuzzing", "--max-examples", "60", "--generation-deterministic", "--continue-on-failure",
            "--no-color", *headers,
        ],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    # A line may contain a body of 16 KB.
    told = "\n".join(line[:500] for line in done.stdout.splitlines())
    assert done.returncode == 0 and "Tested: 2" in told, f"{told}\n{done.stderr}\n{hub.log()[-2000:]}"


def document():
    return schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_str(CONFIGURATION))


CHECKED = [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name != UNSAYABLE]


FIELDS = {"code", "serial", "secret", "certificate", "proof", "at", "thingName", "version", "thingType", "attributes", "csr"}


def statuses(hub, mode, examples, ways, page=PAGE):
    """Sends this number of requests, some of them with valid credentials. Returns the number of responses by status."""
    operation, seen, session = document()["/register"]["POST"], Counter(), requests.Session()
    headers = [None, f"DeviceToken {TOKEN}", "DeviceToken of nobody", "Bearer of-nobody", "Basic YTpi"]
    strangers = [(authorization, None) for authorization in headers]
    shown = strategies.sampled_from(strangers + ways)
    origin = strategies.sampled_from([None, PAGE, "https://example.com", "null"])

    @hypothesis.settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode), shown, origin)
    def register(case, shown, origin):
        authorization, fields = shown
        if fields and mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body = {name: value for name, value in case.body.items() if name not in FIELDS} | fields
        named = {"Authorization": authorization, "Origin": origin}
        answer = case.call(base_url=hub.http, session=session, headers={name: value for name, value in named.items() if value})
        case.validate_response(answer, checks=CHECKED)
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == ([PAGE] if origin == PAGE == page else None), (origin, answer.headers)
        seen[answer.status_code] += 1

    register()
    return seen


def ways(hub):
    """Requests that the hub accepts, and authenticated ones that it refuses."""
    hub.post("/link", {"user": "ana"})
    code = hub.say("ana", "ask my printer to give me a code")["heard"]["card"]["text"].splitlines()[0]
    bearer = f"Bearer {hub.post('/token', {'user': 'ana'})['accessToken']}"
    request = {"csr": csr()[1]}
    lamp = {"thingName": "lamp-7", "version": "1.2"} | request
    return [
        (None, {"code": code} | request),
        (None, {"serial": serial("ana")} | request),
        (None, {"serial": serial("ana"), "csr": None}),
        (bearer, request),
        (f"DeviceToken {TOKEN}", lamp),
        (f"DeviceToken {TOKEN}", lamp | {"thingType": "3d-printer"}),
        (f"DeviceToken {TOKEN}", lamp | {"thingName": f"3D_Lamp-{'a' * 26}"}),
    ]


@pytest.mark.parametrize("keys", ["device", "either"])
def test_responses_to_valid_credentials_conform_to_the_document(endpoint, keys):
    hub = endpoint(f'per_source = 10000\nkeys = "{keys}"\norigin = "{PAGE}"')
    shown = ways(hub)
    seen = statuses(hub, GenerationMode.POSITIVE, 400, shown)
    assert {200, 400, 401, 403, 409} <= set(seen) and seen[200] >= 30, seen
    seen = statuses(hub, GenerationMode.NEGATIVE, 200, shown)
    assert 400 in seen and 500 not in seen, seen


def test_responses_to_too_many_requests_conform_to_the_document(endpoint):
    hub = endpoint(None)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        assert 429 in statuses(hub, mode, 40, [], page=None)


@pytest.mark.parametrize("origin", [PAGE, None])
def test_responses_to_preflight_requests_conform_to_the_document(endpoint, origin):
    hub = endpoint(f'origin = "{origin}"' if origin else None)
    for asks in ({}, {"Origin": PAGE, "Access-Control-Request-Method": "POST"}):
        case = document()["/register"]["OPTIONS"].Case()
        answer = case.call_and_validate(base_url=hub.http, headers=asks, checks=CHECKED)
        assert answer.status_code == (204 if origin else 405)
        assert answer.headers.get("access-control-allow-origin") == ([origin] if origin and asks else None)
