"""The owner takes a certificate out of service, puts it back, gets another one, or leaves."""

from home import Owner
from hub import eventually


def test_a_device_out_of_service_keeps_trying_and_comes_back(hub, agent):
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


def test_who_was_never_let_in_ends(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    ana.disables_the_skill()
    agent.fails(4, "refused", "run", "--wait", "20")
    agent.fails(4, "refused", "setup", str(ana.mail()))
    ana.links()
    agent.run("--wait", "20").is_("connected")


def test_another_certificate_takes_the_place_of_the_old_one(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    eventually("the first is reported", lambda: ana.reported().get("certificateId"))
    first = ana.reported()["certificateId"]
    second_mail = ana.asks_for_another_certificate()
    assert first in ana.certificates() and len(ana.certificates()) == 2
    # Until the new one is in use, the device goes on with the old one.
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    agent.stop()
    agent.do("setup", str(second_mail))
    agent.run().is_("connected")
    eventually("the second is reported", lambda: ana.reported().get("certificateId") not in (None, first))
    second = ana.reported()["certificateId"]
    assert second == agent.status()["certificateId"]
    ana.is_left_with(second)
    ana.hears_of(ana.wants("to print a cup"), "accepted", "refused")


def test_two_devices_with_one_bundle_hear_of_each_other(hub, new_agent):
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


def test_nobody_is_let_in_whose_owner_has_left(hub, agent):
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.leaves()
    agent.is_("refused")
    agent.stop()
    agent.fails(4, "refused", "run")
    # Who comes back starts afresh, on the same device.
    ana.links()
    agent.do("setup", str(ana.mail()))
    agent.run().is_("connected")
    ana.hears_of(ana.wants("to print a vase"), "accepted")
