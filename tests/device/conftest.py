"""Fixtures: a hub and an agent, as two processes. No test is skipped; a missing program is a failure.

    cargo build -p onething-hub -p onething-device
    target/test-venvs/hub/bin/python -m pytest -q -n 8 tests/device

Most tests wait for a network that is down, so more tests than cores run in parallel. The tests of the network need root
and the tools of iproute2 and util-linux."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/hub"))

from agent import Agent  # noqa: E402
from hub import Hub  # noqa: E402


def built(variable, name):
    binary = Path(os.environ.get(variable) or ROOT / "target/debug" / name)
    assert binary.exists(), f"{binary} is missing: run `cargo build -p {name}`, or name another one in {variable}"
    return binary


@pytest.fixture(scope="session")
def binary():
    return built("ONETHING_HUB_BINARY", "onething-hub")


@pytest.fixture(scope="session")
def device_binary():
    return built("ONETHING_DEVICE_BINARY", "onething-device")


@pytest.fixture(scope="session")
def tool():
    def find(name):
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        assert found, f"{name} is missing: install iproute2 and util-linux"
        return found

    return find


@pytest.fixture
def start_hub(binary, tmp_path):
    """Starts the hub of this test, with options in addition to the usual ones."""
    started = []

    def start(*options, mqtt=None, policy=None):
        hub = Hub(binary, tmp_path, policy)
        hub.options += options
        hub.mqtt = mqtt or hub.mqtt
        started.append(hub)
        return hub.start()

    yield start
    for hub in started:
        hub.stop()


@pytest.fixture
def hub(start_hub):
    return start_hub()


@pytest.fixture
def new_agent(device_binary, tmp_path):
    """A device with its own state folder; the agent is killed after the test."""
    agents = []

    def new(**how):
        agents.append(Agent(device_binary, tmp_path / f"device-{len(agents)}", **how))
        return agents[-1]

    yield new
    for agent in agents:
        agent.kill()


@pytest.fixture
def agent(new_agent):
    return new_agent()
