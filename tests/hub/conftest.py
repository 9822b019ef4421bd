"""Where the tests find the hub and what other people made. Nothing is skipped: what is missing is a failure."""

import os
import shutil
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session", params=["hub", "ministack"])
def stage(request, binary, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "hub":
        stage = HubStage(binary, place)
    else:
        ministack = VENVS / "ministack/bin/ministack"
        assert ministack.exists(), f"{ministack} is missing: run `.ci/run`, which installs the foreign tools"
        stage = EmulatorStage(ministack, place)
    stage.name = request.param
    yield stage
    stage.end()
