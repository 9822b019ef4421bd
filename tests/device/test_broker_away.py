"""The broker cannot be reached for a minute, and the owner continues to give commands."""

import random
import threading
import time

from home import Owner, reconnected, unpacked
from hub import eventually
from proxy import Relay
from workshop import Workshop

MINUTE = 60
WISHES = 20
# Each cut doubles the pause before the next attempt.
CUTS = 5
# A fixed seed makes a failure reproducible.
SEED = 20260117
# The device waits up to 64 s before its next attempt, and the hub may be slow.
BACK = 90


def at_the_wire(hub, owner, agent):
    folder = unpacked(owner.mail())
    relay = Relay("127.0.0.1", int(hub.mqtt.rpartition(":")[2]))
    agent.do("setup", str(reconnected(folder, port=relay.port)))
    agent.run().is_("connected")
    return relay


def test_after_an_outage_every_command_is_done_once_in_order_and_the_last_settings_apply(hub, new_agent, tmp_path):
    workshop = Workshop(tmp_path)
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    relay = at_the_wire(hub, ana, agent)
    first = ana.wants("to print a bowl")
    ana.hears_of(first, "done")
    relay.cut()
    dark = time.monotonic()
    agent.is_("connecting")
    eventually("the hub shows it as disconnected", lambda: not ana.thing()["connected"])
    requests = []
    for number in range(WISHES):
        requests.append(ana.wants("to print a vase"))
        ana.says(f"to set the nozzle to {100 + number} degrees")
        ana.says(f"to turn it {'on' if number % 2 else 'off'}")
    assert agent.status()["agent"]["connection"] == "connecting" and agent.status()["running"]
    assert workshop.printed() == [first]
    # The outage lasts a minute, independent of the time that the requests take.
    threading.Event().wait(MINUTE - (time.monotonic() - dark))
    relay.mend()
    agent.is_("connected", limit=BACK)
    ana.hears_of(requests[-1], "done", limit=BACK)
    eventually("the settings are reported", lambda: (ana.reported().get("nozzleTarget"), ana.reported().get("power")) == (100 + WISHES - 1, "ON"))
    after = ana.wants("to print a cup")
    ana.hears_of(after, "done")
    assert workshop.printed() == [first, *requests, after]
    eventually("no command waits", lambda: not ana.desired().get("commands"))


def test_a_command_that_expired_during_an_outage_is_refused(start_hub, new_agent, tmp_path):
    workshop = Workshop(tmp_path, lifetime=10)
    hub = start_hub("--device-model", workshop.model)
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    relay = at_the_wire(hub, ana, agent)
    relay.cut()
    eventually("the hub shows it as disconnected", lambda: not ana.thing()["connected"])
    late = ana.wants("to print a vase")
    end = ana.desired()["command"]["expiresAt"]
    eventually("the command has expired", lambda: time.time() > end)
    relay.mend()
    assert ana.hears_of(late, "refused")["detail"] == "it came too late"
    assert workshop.printed() == []
    in_time = ana.wants("to print a cup")
    ana.hears_of(in_time, "done")
    assert workshop.printed() == [in_time]


def test_the_device_reconnects_to_a_restarted_hub(hub, new_agent, tmp_path):
    workshop = Workshop(tmp_path)
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    hub.kill()
    agent.is_("connecting")
    hub.start()
    request = ana.wants("to print a vase")
    ana.hears_of(request, "done")
    assert workshop.printed() == [request]


def test_a_cut_connection_neither_loses_nor_repeats_a_command(hub, new_agent, tmp_path):
    moments = random.Random(SEED)
    workshop = Workshop(tmp_path, prints="sleep 0.1")
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    relay = at_the_wire(hub, ana, agent)
    requests = []
    for number in range(CUTS):
        requests.append(ana.wants("to print a vase"))
        ana.says(f"to set the nozzle to {100 + number} degrees")
        # The cut happens at a random moment, so the test waits for no event.
        threading.Event().wait(moments.uniform(0.0, 0.3))
        relay.cut()
        if number % 2:
            requests.append(ana.wants("to print a cup"))
        relay.mend()
        ana.hears_of(requests[-1], "done")
        eventually("the setting is reported", lambda: ana.reported().get("nozzleTarget") == 100 + number)
        assert workshop.printed().count(requests[-1]) == 1
    printed = workshop.printed()
    assert printed == [id for id in requests if id in printed], "each once, in the order of the requests"


def test_a_hub_with_another_authority_is_still_trusted(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    roots = root_of(agent)
    hub.stop()
    agent.is_("connecting")
    hub.replace_authority()
    hub.start()
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    agent.stop()
    # After a renewal the device trusts only the new root.
    agent.do("renew")
    assert root_of(agent) != roots
    agent.run().is_("connected")
    hub.stop()
    hub.start()
    ana.hears_of(ana.wants("to print a cup"), "accepted", "refused")


def root_of(agent):
    folder, told = agent.credentials()
    return [(folder / name).read_text() for name in told["rootCas"]]


def test_cancel_and_print_during_an_outage_end_the_old_print_and_begin_the_new_one(hub, new_agent):
    ana, agent = Owner(hub).links(), new_agent()
    relay = at_the_wire(hub, ana, agent)
    ana.hears_of(ana.wants("to print twenty vases"), "accepted")
    relay.cut()
    eventually("the hub shows it as disconnected", lambda: not ana.thing()["connected"])
    ana.says("to cancel the print")
    hub.say(ana.user, "yes")
    frog = ana.wants("to print a frog")
    assert [command["name"] for command in ana.desired()["commands"].values()].count("cancel") == 1
    relay.mend()
    ana.hears_of(frog, "accepted", limit=BACK)
    eventually("the frog is printed", lambda: (ana.reported()["model"], ana.reported()["status"]) == ("frog", "printing"))
    eventually("only the frog waits for its end", lambda: list(ana.desired()["commands"]) == [frog])
    assert "command" not in (ana.reported().get("failures") or {}), "a cancelled print is no failure"
