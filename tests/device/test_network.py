"""The device changes to another network, or its network drops all packets for a while."""

import threading
import time

import pytest

from home import Owner
from network import HUB, Machines
from workshop import Workshop

SILENCE = 70
# Two keep-alive intervals of 30 s, and the first attempts after them.
BACK = 90


@pytest.fixture
def machines(tool):
    machines = Machines(tool)
    yield machines
    machines.end()


@pytest.fixture
def scene(machines, start_hub, new_agent, tmp_path):
    """A device that is connected through its first link and has printed once."""
    hub = start_hub("--host", HUB, mqtt=f"{HUB}:0")
    workshop = Workshop(tmp_path)
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model, inside=machines.of_the_device)
    machines.plug("wifi")
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    first = ana.wants("to print a bowl")
    ana.hears_of(first, "done")
    return machines, ana, agent, workshop, first


def test_the_device_changes_to_another_network(scene):
    machines, ana, agent, workshop, first = scene
    machines.unplug("wifi")
    machines.plug("cable")
    request = ana.wants("to print a vase")
    ana.hears_of(request, "done", limit=BACK)
    agent.is_("connected")
    assert workshop.printed() == [first, request]


def test_the_device_recovers_from_a_network_that_drops_all_packets(scene):
    machines, ana, agent, workshop, first = scene
    began = time.monotonic()
    machines.swallow("wifi")
    request = ana.wants("to print a vase")
    assert agent.is_("connecting", limit=SILENCE) > 20
    # The network is silent for this long, independent of the time that the requests take.
    threading.Event().wait(SILENCE - (time.monotonic() - began))
    machines.pass_on("wifi")
    ana.hears_of(request, "done", limit=BACK)
    agent.is_("connected")
    assert workshop.printed() == [first, request]
