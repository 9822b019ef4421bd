"""Where the tests find the hub and what other people made. Nothing is skipped: what is missing is a failure."""

import os
import shutil
from pathlib import Path

import pytest

from door import WAYS
from hub import Hub
from stages import EmulatorStage, HubStage

VENVS = Path(os.environ.get("ONETHING_TEST_VENVS") or Path(__file__).resolve().parents[2] / "target/test-venvs")


@pytest.fixture(scope="session")
def binary():
    """The hub under test: `cargo test -p onething-hub --features foreign --test foreign` says which."""
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


@pytest.fixture(scope="session", params=[*(f"hub, by {way}" for way in WAYS), "ministack"])
def stage(request, binary, tmp_path_factory):
    name, _, way = request.param.partition(", by ")
    place = tmp_path_factory.mktemp(f"{name}-{way}")
    if name == "hub":
        stage = HubStage(binary, place, WAYS[way])
    else:
        ministack = VENVS / "ministack/bin/ministack"
        assert ministack.exists(), f"{ministack} is missing: run `.ci/run`, which installs the foreign tools"
        stage = EmulatorStage(ministack, place)
    stage.name = name
    yield stage
    stage.end()
