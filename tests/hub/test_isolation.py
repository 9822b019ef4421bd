"""Ada's bundle gives no access to Bob's thing. Tried with a foreign MQTT client, with both versions of the protocol, on the hub
and on an emulator of AWS that others wrote."""

import socket
import ssl

import pytest
from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey

from gaps import GAPS, HEARD, UNHEARD
from speaker import CLOSED, OK, Speaker, mutual_tls
from stages import TOPICS, topic
from table import CONNECT, PUBLISH, SUBSCRIBE, WILL, filled

VERSIONS = ["3.1.1", "5"]
both_versions = pytest.mark.parametrize("version", VERSIONS)


def expected(stage, kind, what, version, on_the_hub):
    """The outcome of the hub; on the emulator, the outcome of a listed gap instead."""
    gap = GAPS.get((kind, str(what), version)) if stage.name == "ministack" else None
    return gap.outcome if gap else on_the_hub


def told(attempt, version):
    return attempt.code if version == "5" else attempt.old_code


def attempts(table):
    return pytest.mark.parametrize("attempt", table, ids=str)


@both_versions
@attempts(SUBSCRIBE)
def test_no_filter_receives_messages_of_another_thing(stage, attempt, version):
    ada = stage.ada_arrives(version)
    outcome = ada.subscribe(filled(attempt, stage.ada.thing, stage.bob.thing))[0]
    stage.bob_is_untouched()
    stage.ada_has_heard_nothing(ada)
    assert outcome == expected(stage, "subscribe", attempt, version, told(attempt, version))


@both_versions
@attempts(PUBLISH)
def test_no_topic_reaches_another_thing(stage, attempt, version):
    ada = stage.ada_arrives(version)
    outcome = ada.publish(filled(attempt, stage.ada.thing, stage.bob.thing), attempt.payload, retain=attempt.retain)
    stage.bob_is_untouched()
    stage.ada_has_heard_nothing(ada)
    assert outcome == expected(stage, "publish", attempt, version, told(attempt, version))


@both_versions
@attempts(CONNECT)
def test_only_the_own_client_id_is_accepted(stage, attempt, version):
    client_id = filled(attempt, stage.ada.thing, stage.bob.thing)
    ada = Speaker(stage.ada, version, client_id=client_id)
    outcome = ada.connect()
    ada.leave()
    stage.bob_is_untouched()
    assert outcome == expected(stage, "connect", attempt, version, told(attempt, version))


@both_versions
@attempts(WILL)
def test_no_will_reaches_another_thing(stage, attempt, version):
    ada = stage.ada_arrives(version)
    will = {"topic": filled(attempt, stage.ada.thing, stage.bob.thing), "payload": attempt.payload, "retain": attempt.retain}
    dying = Speaker(stage.ada, version, keeps=True, fresh=False, will=will)
    if dying.connect() == OK:
        dying.vanish()
    ada.leave()
    # The next connection with the same client id follows the end of the last one and its will.
    ada = Speaker(stage.ada, version, keeps=True, fresh=False).connected()
    stage.bob_is_untouched()
    if expected(stage, "will", attempt, version, UNHEARD) == HEARD:
        stage.ada_has_lost_her_shadow(ada)
    else:
        stage.ada_has_heard_nothing(ada)


@both_versions
def test_several_filters_in_one_packet_are_authorized_one_by_one(stage, version):
    ada = stage.ada_arrives(version)
    asked = [topic(stage.ada.thing, "update/rejected"), topic(stage.bob.thing, "update/delta"), "#"]
    outcome = ada.subscribe(*asked)
    stage.bob_is_untouched()
    assert outcome == ([OK, 135, 135] if version == "5" else [CLOSED] * 3)
    stage.ada_has_heard_nothing(ada)


@both_versions
def test_the_own_topics_are_allowed(stage, version):
    ada = Speaker(stage.ada, version).connected().listens(*[topic(stage.ada.thing, rest) for rest in TOPICS])
    assert ada.publish(topic(stage.ada.thing, "update"), {"state": {"reported": {"beat": 0}}}) == OK
    assert ada.receive(topic(stage.ada.thing, "update/accepted"))["state"] == {"reported": {"beat": 0}}
    ada.leave()
    stage.bob_is_untouched()


@both_versions
def test_another_certificate_with_the_client_id_of_bob_is_refused(stage, version):
    """Another certificate with the client id of Bob neither takes over nor ends Bob's session."""
    bob = stage.bob.thing
    for keeps in (False, True):
        thief = Speaker(stage.ada, version, client_id=bob, keeps=keeps, fresh=True)
        assert thief.connect() == told_connect(version)
        thief.leave()
        stage.bob_is_untouched()


def told_connect(version):
    return 135 if version == "5" else CLOSED


def test_certificates_that_the_handshake_refuses(stage):
    for what, (certificate, key) in stage.tls_refuses.items():
        for bundle in (stage.ada, stage.bob):
            speaker = Speaker(bundle, "5", tls=mutual_tls(bundle, certificate, key))
            outcome = speaker.connect()
            speaker.leave()
            assert outcome == CLOSED, what
    stage.bob_is_untouched()


@both_versions
def test_certificates_that_the_broker_refuses(stage, version):
    for what, (bundle, (certificate, key)) in stage.broker_refuses.items():
        speaker = Speaker(bundle, version, tls=mutual_tls(bundle, certificate, key))
        outcome = speaker.connect()
        speaker.leave()
        assert outcome == expected(stage, "certificate", what, version, told_connect(version)), what
    stage.bob_is_untouched()


@both_versions
def test_a_client_without_certificate_or_without_tls_is_refused(stage, version):
    for what, tls in [("none", ssl.create_default_context(cafile=stage.ada.root)), ("no TLS", None)]:
        speaker = Speaker(stage.ada, version, tls=tls)
        outcome = speaker.connect()
        speaker.leave()
        assert outcome == expected(stage, "certificate", what, version, CLOSED), what
    stage.bob_is_untouched()


def handshake(bundle, chain, key, settings):
    """A handshake by tlslite, which does not check the certificate and the key of its user. Whether the server answers CONNECT
    with success."""
    with socket.create_connection((bundle.host, bundle.port), timeout=20) as plain:
        connection = TLSConnection(plain)
        connection.closeSocket = False
        try:
            connection.handshakeClientCert(chain, key, settings=settings, serverName=bundle.host)
            # A CONNECT of MQTT 3.1.1 with the client id of the thing.
            body = b"\0\4MQTT\4\2\0\x1e" + len(bundle.thing).to_bytes(2, "big") + bundle.thing.encode()
            connection.write(b"\x10" + bytes([len(body)]) + body)
            answer = connection.read(min=1, max=4)
            return bytes(answer)[:4] == b"\x20\x02\0\0"
        except Exception:
            return False


def files(certificate, key):
    chain = X509CertChain([X509().parse(certificate.read_text())])
    return chain, parsePEMKey(key.read_text(), private=True)


def speaking(version):
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    # tlslite would compress its certificate without a request of the server.
    settings.certificate_compression_send = []
    return settings


@pytest.mark.parametrize("tls", [(3, 3), (3, 4)], ids=["TLS 1.2", "TLS 1.3"])
def test_a_certificate_without_its_key_is_refused(stage, tls):
    ada, bob = stage.ada, stage.bob
    assert handshake(ada, *files(ada.certificate, ada.key), speaking(tls)), "the own certificate with its own key"
    assert not handshake(bob, *files(bob.certificate, ada.key), speaking(tls))
    assert not handshake(ada, *files(ada.certificate, bob.key), speaking(tls))
    stage.bob_is_untouched()


@pytest.mark.parametrize("tls", [(3, 0), (3, 1), (3, 2)], ids=["SSL 3", "TLS 1.0", "TLS 1.1"])
def test_old_versions_of_tls_are_refused(stage, tls):
    assert not handshake(stage.ada, *files(stage.ada.certificate, stage.ada.key), speaking(tls))
    stage.bob_is_untouched()


def test_a_forged_certificate_without_a_defect_is_accepted(stage):
    """A forged certificate without a defect is accepted, so the others are refused for their defects."""
    if stage.name == "hub":
        Speaker(stage.good, "5").connected().leave()


def test_no_message_is_retained_for_bob_in_the_end(stage):
    stage.bobs.leave()
    stage.bobs = Speaker(stage.bob, "5").connected().listens(*[topic(stage.bob.thing, rest) for rest in TOPICS])
    stage.bob_is_untouched()
