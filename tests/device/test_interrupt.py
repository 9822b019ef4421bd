"""Commands that interrupt others do not wait for the end of the interrupted command."""

import os

from home import Owner
from hub import eventually
from workshop import Workshop

# The print program runs until it is stopped, with a child process.
ENDLESS = "sleep 1000 & echo $! > {0}/child\ntrap 'echo stopped >> {0}/ended; kill $!; exit 1' TERM\necho $$ > {0}/number\nwait"


def is_gone(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_cancel_ends_the_running_print_and_the_next_one_is_printed(hub, new_agent, tmp_path):
    place = tmp_path / "workshop"
    once = f"if [ -e {place}/number ]; then echo printed; exit 0; fi\n"
    workshop = Workshop(tmp_path, prints=once + ENDLESS.format(place))
    cancel = workshop.program("cancel", f"echo cancelled >> {place}/ended\necho the table is empty")
    workshop.adds(f'[action.command.cancel]\nrun = ["{cancel}"]')
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")

    ana.wants("to print a vase")
    eventually("it prints", lambda: (place / "number").exists() and (place / "number").read_text().strip())
    ana.says("to cancel the print")
    hub.say(ana.user, "yes")
    cancelled = ana.desired()["command"]
    assert cancelled["name"] == "cancel"
    assert ana.hears_of(cancelled["id"], "done")["detail"] == "the table is empty"
    assert (place / "ended").read_text() == "stopped\ncancelled\n", "the program was stopped before the next one began"
    for name in ("number", "child"):
        number = int((place / name).read_text())
        eventually(f"process {number} is gone", lambda number=number: is_gone(number))
    assert "command" not in (ana.reported().get("failures") or {}), "a cancelled print is no failure"
    ana.hears_of(ana.wants("to print a frog"), "done")
    assert [told["args"]["model"] for told in workshop.told()] == ["vase", "frog"]


def test_a_failed_setting_is_reported_until_it_succeeds(hub, new_agent, tmp_path):
    workshop = Workshop(tmp_path)
    heater = workshop.program("heater", f"if [ -e {workshop.place}/on ]; then exit 0; fi\necho 'the heater is off' >&2\nexit 3")
    workshop.adds(f'[action.property.nozzleTarget]\nrun = ["{heater}"]')
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.says("to set the nozzle to two hundred degrees")

    def failure():
        return (ana.reported().get("failures") or {}).get("nozzleTarget")

    eventually("the failure is reported", failure)
    first = failure()
    assert (first["value"], first["detail"]) == (200, "the heater is off")
    agent.stop()
    agent.run().is_("connected")
    eventually("it is tried again", lambda: agent.log().count("nozzleTarget failed") == 2)
    assert failure() == first, "the same failure is not reported again"
    (workshop.place / "on").touch()
    ana.says("to set the nozzle to two hundred ten degrees")
    eventually("it is set", lambda: ana.reported().get("nozzleTarget") == 210)
    eventually("the failure is gone", lambda: not failure())


def test_a_value_that_the_device_has_changed_becomes_the_desired_value(hub, new_agent, tmp_path):
    workshop = Workshop(tmp_path)
    clamp = workshop.program("clamp", """echo '{"nozzleTarget": 180}'""")
    cooler = workshop.program("cooler", """echo '{"bedTarget": 35, "nozzle": 20}'""")
    workshop.adds(f'[action.property.nozzleTarget]\nrun = ["{clamp}"]')
    workshop.adds(f'[action.command.resume]\nrun = ["{cooler}"]')
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.says("to set the nozzle to two hundred degrees")
    ana.says("to set the bed to sixty degrees")

    def both(name):
        return ana.desired().get(name), ana.reported().get(name)

    eventually("the nozzle target is at its maximum", lambda: both("nozzleTarget") == (180, 180))
    eventually("the bed target is reported", lambda: both("bedTarget") == (60, 60))
    ana.hears_of(ana.wants("to resume"), "done")
    assert both("bedTarget") == (35, 35)
    assert "nozzle" not in ana.desired(), "a property that only the device writes is not desired"
    agent.stop()
    agent.run().is_("connected")
    ana.hears_of(ana.wants("to resume"), "done")
    assert (both("nozzleTarget"), both("bedTarget")) == ((180, 180), (35, 35))
    ana.says("to set the bed to fifty degrees")
    eventually("a newer request of the owner wins", lambda: both("bedTarget") == (50, 50))
