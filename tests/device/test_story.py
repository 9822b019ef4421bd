"""From the mail to a printed vase."""

from hub import eventually
from home import Owner


def test_from_the_mail_to_a_printed_vase(hub, agent):
    ana = Owner(hub).links()
    zip_file = ana.mail()
    assert ana.thing()["thing"] in agent.do("setup", str(zip_file))
    agent.run().is_("connected")
    eventually("the device reports", lambda: ana.reported().get("status") == "idle")
    assert list(ana.certificates()) == [ana.reported()["certificateId"]] == [agent.status()["certificateId"]]

    vase = ana.wants("to print a vase")
    ana.hears_of(vase, "accepted")
    assert (ana.reported()["status"], ana.reported()["model"]) == ("printing", "vase")
    eventually("some of it is done", lambda: 0 < ana.reported().get("progress", 0) < 100)
    heard = ana.says("for the status")
    assert "Your printer is printing." in heard and "percent of vase is done." in heard, heard
    told = agent.status()
    assert {"id": vase, "status": "accepted"}.items() <= told["agent"]["lastCommand"].items(), told
    assert (told["thing"], told["running"], told["fault"]) == (ana.thing()["thing"], True, None)

    answer = ana.hears_of(vase, "done", limit=60)
    eventually("the printer rests", lambda: (ana.reported().get("status"), ana.reported().get("progress")) == ("idle", 100))
    assert "Your printer is idle." in ana.says("for the status")
    end = {"id": vase, "status": "done", "detail": answer["detail"]}
    eventually("the status has the end of the command", lambda: end.items() <= agent.status()["agent"]["lastCommand"].items())

    ana.says("to set the nozzle to two hundred degrees")
    eventually("the setting is reported", lambda: ana.reported().get("nozzleTarget") == 200)
    agent.stop()
    eventually("the hub shows it as disconnected", lambda: not ana.thing()["connected"])
    assert agent.status()["agent"]["connection"] == "stopped" and not agent.status()["running"]
