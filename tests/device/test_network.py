"""The device changes from one network to another, or its network says nothing for a while."""

import threading
import time

import pytest

from home import Owner
from network import HUB, Machines
from workshop import Workshop

SILENCE = 70
# Two signs of life, 30 s apart, and the first attempts after them.
BACK = 90


@pytest.fixture
def machines(tool):
    machines = Machines(tool)
    yield machines
    machines.end()


@pytest.fixture
def scene(machines, start_hub, new_agent, tmp_path):
    """The device is connected by its first wire."""
    hub = start_hub("--host", HUB, mqtt=f"{HUB}:0")
    workshop = Workshop(tmp_path)
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model, inside=machines.of_the_device)
    machines.plug("wifi")
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    first = ana.wants("to print a bowl")
    ana.hears_of(first, "done")
    return machines, ana, agent, workshop, first


def test_another_network_takes_over(scene):
    machines, ana, agent, workshop, first = scene
    machines.unplug("wifi")
    machines.plug("cable")
    request = ana.wants("to print a vase")
    ana.hears_of(request, "done", limit=BACK)
    agent.is_("connected")
    assert workshop.printed() == [first, request]


def test_a_network_that_swallows_everything_comes_back(scene):
    machines, ana, agent, workshop, first = scene
    began = time.monotonic()
    machines.swallow("wifi")
    request = ana.wants("to print a vase")
    assert agent.is_("connecting", limit=SILENCE) > 20
    # So long it is silent, whatever happens meanwhile.
    threading.Event().wait(SILENCE - (time.monotonic() - began))
    machines.pass_on("wifi")
    ana.hears_of(request, "done", limit=BACK)
    agent.is_("connected")
    assert workshop.printed() == [first, request]
