"""A device with the actions of its model: programs, files and HTTP servers on the device."""

import pytest

from home import Owner
from hub import eventually
from workshop import Appliance, Workshop


@pytest.fixture
def appliance():
    appliance = Appliance({"detail": "it goes on", "status": "printing"})
    yield appliance
    appliance.end()


def test_every_action_is_done_once_and_answered(hub, new_agent, appliance, tmp_path):
    workshop = Workshop(tmp_path, prints="""echo '{"detail": "it stands on the table", "status": "idle", "progress": 100}'""")
    power = workshop.place / "power"
    power.touch()
    stuck = workshop.program("stuck", "echo the belt is worn >&2\necho 'the motor is stuck' >&2\nexit 3")
    workshop.adds(f'[action.property.power]\nfile = "{power}"\nmap = {{ ON = "1", OFF = "0" }}')
    workshop.adds(f'[action.property.nozzleTarget]\nhttp = "{appliance.url}/nozzle"')
    workshop.adds(f'[action.command.resume]\nhttp = "{appliance.url}/resume"')
    workshop.adds(f'[action.command.pause]\nrun = ["{stuck}"]')
    workshop.adds('[action.command.cancel]\nrun = ["/nowhere/cancel"]')
    ana, agent = Owner(hub).links(), new_agent(model=workshop.model)
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    assert "`cancel` cannot be done as it is now: `/nowhere/cancel` is not there" in agent.log()

    wanted = []
    for words, args in [("to print three vases", {"model": "vase", "copies": 3}), ("to print a cup", {"model": "cup", "copies": 1})]:
        wanted.append((ana.wants(words), args))
        assert ana.hears_of(wanted[-1][0], "done")["detail"] == "it stands on the table"
    assert (ana.reported()["status"], ana.reported()["progress"]) == ("idle", 100)

    ana.says("to turn it on")
    eventually("the power is on", lambda: (ana.reported().get("power"), power.read_text()) == ("ON", "1\n"))
    ana.says("to turn it off")
    eventually("the power is off", lambda: (ana.reported().get("power"), power.read_text()) == ("OFF", "0\n"))
    ana.says("to set the nozzle to two hundred degrees")
    eventually("the nozzle target is reported", lambda: ana.reported().get("nozzleTarget") == 200)

    resume = ana.wants("to resume")
    assert ana.hears_of(resume, "done")["detail"] == "it goes on"
    assert ana.reported()["status"] == "printing"
    pause = ana.wants("to pause")
    assert ana.hears_of(pause, "failed")["detail"] == "the motor is stuck"
    assert "the motor is stuck" in agent.do("status")

    # After a restart no command is repeated, and a setting that the machine has lost is applied again.
    agent.kill()
    power.write_text("")
    agent.run().is_("connected")
    eventually("the power is off again", lambda: power.read_text() == "0\n")
    # A setting that cannot be applied again is no longer reported, and is applied at the next request.
    agent.kill()
    power.unlink()
    agent.run().is_("connected")
    eventually("the power is no longer reported", lambda: "power" not in ana.reported())
    power.touch()
    ana.says("to turn it off")
    eventually("the power is off", lambda: (ana.reported().get("power"), power.read_text()) == ("OFF", "0\n"))
    last = ana.wants("to print a bowl")
    ana.hears_of(last, "done")
    wanted.append((last, {"model": "bowl", "copies": 1}))
    assert [(told["id"], told["args"]) for told in workshop.told()] == wanted
    assert all(told["command"] == "print" and told["expiresAt"] > 0 for told in workshop.told())
    told = [(path, body.get("value"), body.get("id")) for path, body in appliance.told]
    assert told == [("/nozzle", 200, None), ("/resume", None, resume)], told
