"""Fixtures: the hub under test and the foreign programs. No test is skipped; a missing program is a failure."""

import json
import os
import shutil
from pathlib import Path

import pytest

from registration import WAYS
from hub import Hub
from stages import EmulatorStage, GivenStage, HubStage

VENVS = Path(os.environ.get("ONETHING_TEST_VENVS") or Path(__file__).resolve().parents[2] / "target/test-venvs")


@pytest.fixture(scope="session")
def binary():
    """The path of the hub under test, set by `cargo test -p onething-hub --features foreign --test foreign`."""
    return os.environ["ONETHING_HUB_BINARY"]


@pytest.fixture(scope="session")
def tool():
    def find(name):
        found = shutil.which(name)
        assert found, f"{name} is missing: run `.ci/run`, which installs the foreign tools"
        return found

    return find


@pytest.fixture
def hub(binary, tmp_path):
    hub = Hub(binary, tmp_path).start()
    yield hub
    hub.stop()


# A stage that exists already, as JSON, set by `cargo test --features emulators --test story isolation`.
GIVEN = os.environ.get("ONETHING_STAGE")
STAGES = ["ministack, given"] if GIVEN else [*(f"hub, by {way}" for way in WAYS), "ministack"]


@pytest.fixture(scope="session", params=STAGES)
def stage(request, tmp_path_factory):
    name, _, way = request.param.partition(", ")
    place = tmp_path_factory.mktemp(f"{name}-{way}".replace(" ", "-"))
    if GIVEN:
        stage = GivenStage(json.loads(GIVEN), place)
    elif name == "hub":
        stage = HubStage(request.getfixturevalue("binary"), place, WAYS[way.removeprefix("by ")])
    else:
        ministack = VENVS / "ministack/bin/ministack"
        assert ministack.exists(), f"{ministack} is missing: run `.ci/run`, which installs the foreign tools"
        stage = EmulatorStage(ministack, place)
    stage.name = name
    yield stage
    stage.end()
