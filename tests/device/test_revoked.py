"""The owner disables the skill, enables it again, asks for another certificate, or leaves."""

from home import Owner
from hub import eventually


def test_a_device_with_an_inactive_certificate_keeps_trying_and_reconnects(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.disables_the_skill()
    agent.is_("refused")
    told = agent.status()
    assert "the skill disabled" in told["agent"]["why"] and told["running"], told
    assert "is refused" in agent.do("status")

    ana.links()
    assert set(ana.certificates().values()) == {"ACTIVE"}
    agent.is_("connected")
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    assert "why" not in agent.status()["agent"]


def test_an_agent_that_was_never_connected_ends_after_a_refusal(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    ana.disables_the_skill()
    agent.fails(4, "refused", "run", "--wait", "20")
    agent.fails(4, "refused", "setup", str(ana.mail()))
    ana.links()
    agent.run("--wait", "20").is_("connected")


def test_a_new_certificate_replaces_the_old_one(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    eventually("the first is reported", lambda: ana.reported().get("certificateId"))
    first = ana.reported()["certificateId"]
    second_mail = ana.asks_for_another_certificate()
    assert first in ana.certificates() and len(ana.certificates()) == 2
    # Until the new certificate is installed, the device uses the old one.
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    agent.stop()
    agent.do("setup", str(second_mail))
    agent.run().is_("connected")
    eventually("the second is reported", lambda: ana.reported().get("certificateId") not in (None, first))
    second = ana.reported()["certificateId"]
    assert second == agent.status()["certificateId"]
    ana.is_left_with(second)
    ana.hears_of(ana.wants("to print a cup"), "accepted", "refused")


def test_two_devices_with_one_bundle_report_each_other(hub, new_agent):
    ana = Owner(hub).links()
    zip_file = ana.mail()
    rivals = [new_agent(), new_agent()]
    for agent in rivals:
        agent.do("setup", str(zip_file))
        agent.run()

    def says_so():
        assert all(agent.process.poll() is None for agent in rivals), [agent.log() for agent in rivals]
        return any("does another device use the same bundle?" in agent.log() for agent in rivals)

    eventually("one says so", says_so)
    rivals[0].stop()
    rivals[1].is_("connected")
    ana.hears_of(ana.wants("to print a vase"), "accepted")


def test_a_device_of_a_deleted_owner_is_refused(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.leaves()
    agent.is_("refused")
    agent.stop()
    agent.fails(4, "refused", "run")
    # An owner who comes back starts again, with the same device.
    ana.links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.hears_of(ana.wants("to print a vase"), "accepted")
