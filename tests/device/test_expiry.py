"""The end of certificates: a device renews its certificate in time, and reports an expired one."""

import datetime
import json
import sqlite3

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from forge import fingerprint, forge
from home import Owner, reconnected, unpacked
from hub import eventually

HOUR = datetime.timedelta(hours=1)


def aged(hub, owner, zip_file, begins, ends):
    """Replaces the mailed certificate, in the bundle and in the registry, by one of the hub's authority that is valid
    from `begins` to `ends`. Restarts the hub."""
    folder, place = unpacked(zip_file), hub.place
    [mailed], thing = owner.certificates(), owner.thing()["thing"]
    hub.stop()
    authority = hub.data / "authority"
    certificate, key = forge(place, "aged", issuer=(authority / "root.pem", authority / "root.key.pem"), begins=begins, ends=ends)
    id = fingerprint(certificate)
    with sqlite3.connect(hub.data / "hub.db") as database:
        database.execute("INSERT INTO certificate SELECT ?1, active, thing, made_for, made_at FROM certificate WHERE id = ?2", (id, mailed))
        database.execute("INSERT INTO attached_policy SELECT ?1, policy FROM attached_policy WHERE certificate = ?2", (id, mailed))
        database.execute("DELETE FROM attached_policy WHERE certificate = ?1", (mailed,))
        database.execute("DELETE FROM certificate WHERE id = ?1", (mailed,))
        changed = database.execute("UPDATE thing SET attributes = replace(attributes, ?2, ?1) WHERE name = ?3", (id, mailed, thing))
        assert changed.rowcount == 1
    database.close()
    hub.start()
    told = json.loads((folder / "connection.json").read_text())
    # Without the root at the end, as in a mail.
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.PEM)
    (folder / told["certificate"]).write_bytes(leaf)
    (folder / told["privateKey"]).write_bytes(key.read_bytes())
    reconnected(folder, certificateId=id, register=f"{hub.http}/register")
    assert owner.certificates() == {id: "ACTIVE"}
    return folder, id


def test_a_certificate_for_one_day_can_be_renewed_by_command(start_hub, agent):
    hub = start_hub("--certificate-days", "1")
    ana = Owner(hub).links()
    agent.do("setup", str(ana.mail()))
    before = agent.status()
    assert 23 * 3600 < before["notAfter"] - before["notBefore"] < 50 * 3600, before
    agent.run().is_("connected")
    eventually("the first is reported", lambda: ana.reported().get("certificateId") == before["certificateId"])
    agent.stop()
    agent.do("renew")
    after = agent.status()
    assert after["certificateId"] != before["certificateId"] and after["notAfter"] >= before["notAfter"]
    agent.run().is_("connected")
    eventually("the second is reported", lambda: ana.reported().get("certificateId") == after["certificateId"])
    ana.is_left_with(after["certificateId"])


def test_a_running_device_renews_in_time(hub, agent):
    ana = Owner(hub).links()
    folder, old = aged(hub, ana, ana.mail(), begins=-10 * HOUR, ends=HOUR / 2)
    agent.do("setup", str(folder))
    agent.run().is_("connected")
    eventually("another certificate is in use", lambda: agent.status()["certificateId"] != old)
    new = agent.status()["certificateId"]
    eventually("the other certificate is reported", lambda: ana.reported().get("certificateId") == new)
    agent.is_("connected")
    ana.hears_of(ana.wants("to print a vase"), "accepted")
    ana.is_left_with(new)
    # The new certificate is valid as long as a mailed one, and is still in use after a restart.
    assert agent.status()["notAfter"] > datetime.datetime(2049, 1, 1).timestamp()
    agent.stop()
    assert not (agent.state / "former").exists()
    agent.run().is_("connected")
    assert agent.status()["certificateId"] == new
    assert agent.log().count("the certificate was renewed") == 1


def test_an_expired_certificate_is_reported(hub, agent):
    ana = Owner(hub).links()
    folder, old = aged(hub, ana, ana.mail(), begins=-HOUR, ends=datetime.timedelta(seconds=20))
    agent.do("setup", "--offline", str(folder))
    [end] = {x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes()).not_valid_after_utc}
    eventually("the certificate has expired", lambda: agent.status()["fault"])
    sentence = f"the certificate expired on {end:%Y-%m-%d}"
    assert sentence in agent.status()["fault"] and sentence in agent.do("status")
    agent.fails(3, f"{sentence}; ask for a new one", "run")
    agent.fails(3, sentence, "setup", str(folder))
    agent.fails(3, sentence, "renew")
    # The advice in the message works.
    agent.do("setup", str(ana.asks_for_another_certificate()))
    agent.run().is_("connected")
    assert agent.status()["certificateId"] != old
