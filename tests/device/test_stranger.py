"""Somebody stands between the device and its server, with a certificate of an authority of their own."""

import socket
import ssl
import threading

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from forge import forge, name
from home import Owner, reconnected, unpacked
from hub import eventually

CODE = "K7QF-93PD"


class Stranger:
    """Takes whatever it is told after a handshake."""

    def __init__(self, place):
        self.root = forge(place, "strangers-root", subject=name("onething hub"), authority=True)
        # The subject is all that there is to know it by: it has no other names.
        certificate, key = forge(place, "stranger", issuer=self.root, subject=name("localhost"), usage=ExtendedKeyUsageOID.SERVER_AUTH)
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

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def stranger(tmp_path):
    stranger = Stranger(tmp_path)
    yield stranger
    stranger.end()


def test_a_stranger_at_the_broker_is_told_nothing(hub, agent, stranger):
    ana = Owner(hub).links()
    zip_file = ana.mail()
    agent.do("setup", "--offline", str(reconnected(unpacked(zip_file), port=stranger.port)))
    agent.fails(5, "was sent nothing", "run", "--wait", "3")
    agent.run()
    eventually("it tries again", lambda: len(stranger.turned_away) >= 3)
    agent.is_("connecting")
    assert "the server is not the one of this bundle" in agent.status()["agent"]["why"]
    assert stranger.heard == [] and any("unknown ca" in why.lower() for why in stranger.turned_away), stranger.turned_away
    agent.stop()
    # The true one is still there.
    agent.do("setup", str(zip_file))
    agent.run().is_("connected")


def test_a_stranger_at_the_door_is_told_nothing(agent, stranger):
    agent.fails(5, f"localhost:{stranger.port}", "claim", CODE, "--door", f"https://localhost:{stranger.port}/register", "--wait", "3")
    assert stranger.heard == [] and stranger.turned_away
    assert not (agent.state / "current").exists()
