"""A man in the middle between the device and its server, with a certificate of its own authority."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forge import forge, name
from home import Owner, reconnected, unpacked
from hub import eventually

CODE = "K7QF-93PD"


def passport(place, root):
    """A certificate for `localhost` that is valid except for its authority: a file with its chain, and one with its
    key."""
    issuer = x509.load_pem_x509_certificate(root[0].read_bytes())
    signer = serialization.load_pem_private_key(root[1].read_bytes(), None)
    key, now, day = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(issuer.subject, name("localhost"), key.public_key(), x509.random_serial_number(), now - day, now + day)
    for extension in [
        x509.SubjectAlternativeName([x509.DNSName("localhost")]),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]),
    ]:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    files = Path(place) / "stranger.pem", Path(place) / "stranger.key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + root[0].read_bytes())
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    return files


class Stranger:
    """A TLS server that records what it receives after the handshake."""

    def __init__(self, place):
        self.root = forge(place, "strangers-root", subject=name("onething hub"), authority=True)
        certificate, key = passport(place, self.root)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard, self.turned_away = [], []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            plain.settimeout(20)
            try:
                with self.context.wrap_socket(plain, server_side=True) as secure:
                    self.heard.append(secure.recv(65536))
            except (ssl.SSLError, OSError) as error:
                self.turned_away.append(str(error))

    def was_not_known(self):
        """Whether no client has sent data, and all clients have refused the handshake because of the unknown authority."""
        alerts = [why.lower() for why in self.turned_away if "alert" in why.lower()]
        return self.heard == [] and alerts and all("unknown ca" in why for why in alerts)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def stranger(tmp_path):
    stranger = Stranger(tmp_path)
    yield stranger
    stranger.end()


def test_an_untrusted_broker_receives_no_data(hub, agent, stranger):
    ana = Owner(hub).links()
    zip_file = ana.mail()
    agent.do("setup", "--offline", str(reconnected(unpacked(zip_file), port=stranger.port)))
    agent.fails(5, "was sent nothing", "run", "--wait", "3")
    agent.run()
    eventually("the agent tries again", lambda: len(stranger.turned_away) >= 3)
    agent.is_("connecting")
    why = "the server is not the one of this bundle"
    eventually("the status has the reason", lambda: why in agent.status()["agent"].get("why", ""))
    agent.stop()
    eventually("the server has seen a refusal", lambda: stranger.turned_away)
    assert stranger.was_not_known(), (stranger.heard, stranger.turned_away)
    # The real server still works.
    agent.do("setup", str(zip_file))
    agent.run().is_("connected")


def test_an_untrusted_endpoint_receives_no_data(agent, stranger):
    words = f"what answers at localhost:{stranger.port} shows a certificate of somebody else"
    endpoint = f"https://localhost:{stranger.port}/register"
    agent.fails(5, words, "claim", CODE, "--register-url", endpoint, "--wait", "3")
    eventually("the server has seen a refusal", lambda: stranger.turned_away)
    assert stranger.was_not_known(), (stranger.heard, stranger.turned_away)
    assert not (agent.state / "current").exists()


def test_a_server_of_a_trusted_authority_receives_the_request(agent, stranger):
    """The counter-check: the authority alone is the reason for the refusals in the other tests."""
    endpoint = f"https://localhost:{stranger.port}/register"
    agent.fails(5, "has not answered", "claim", CODE, "--register-url", endpoint, "--wait", "2", "--ca", str(stranger.root[0]))
    eventually("the server has received the request", lambda: any(heard.startswith(b"POST /register") for heard in stranger.heard))
