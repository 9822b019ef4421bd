"""The page when the hub or its mail server is in another state than usual."""

import io
import json
import socket
import ssl
import urllib.request
import zipfile

import pytest

from home import Hub
from steps import DESKTOP, PHONE, link


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-dark", PHONE, "dark"), ("desktop-light", DESKTOP, "light")])
def test_a_hub_in_use_says_so(tmp_path, browse, name, size, scheme):
    in_use = ["--lwa-client-id", "amzn1.application-oa2-client.test", "--skill-id", "amzn1.ask.skill.test"]
    hub = Hub(tmp_path / "data", *in_use, LWA_ENDPOINT="http://127.0.0.1:1")
    try:
        browser = browse(f"in-use-{name}", *size, scheme)
        browser.open(hub.url)
        assert browser.text("h1") == "This hub is in use"
        browser.judge("in-use")
        assert browser.complaints() == []
    finally:
        hub.kill()


def test_a_mail_that_cannot_be_sent_is_explained(tmp_path, browse):
    # No server listens on this port: ports below 1024 are not assigned automatically.
    hub = Hub(tmp_path / "data", SMTP_URL="smtp://127.0.0.1:1", MAIL_FROM="hub@example.com")
    try:
        browser = browse("mail-waits", *DESKTOP, "light")
        browser.open(hub.url)
        link(browser)
        browser.until(lambda: "could not be sent yet" in browser.text("#guide-text"), "why there is no mail")
        assert "the mail server cannot be used" in browser.text("#guide-text")
        browser.judge("mail-waits")
        assert browser.complaints() == []
    finally:
        hub.kill()


def test_a_refusal_of_the_broker_is_shown_at_the_shadow(hub, browse, tmp_path):
    browser = browse("refused", *PHONE, "light")
    browser.open(hub.url)
    link(browser)
    browser.until(lambda: browser.text("#thing-name"), "a thing")
    assert not browser.one("#refusal").is_displayed()
    connect(hub, tmp_path, client_id='<b>"another"')
    browser.until(lambda: browser.one("#refusal").is_displayed(), "the refusal")
    assert "iot:Connect of “<b>\"another\"”, to client “<b>\"another\"”: no policy statement allows it" in browser.text("#refusal")
    browser.judge("refused")
    assert browser.complaints() == []


def connect(hub, place, client_id):
    """Sends a CONNECT of MQTT 3.1.1 with Ana's certificate and this client id; waits for the end of the connection."""
    get = lambda path: urllib.request.urlopen(hub.url + path).read()
    mail = json.loads(get("/api/mail?user=ana"))["mail"][-1]
    zipfile.ZipFile(io.BytesIO(get(f"/api/mail/{mail['id']}/attachment"))).extractall(place)
    context = ssl.create_default_context(cafile=place / "RootCA.pem")
    context.load_cert_chain(place / "certificate.pem", place / "private.key.pem")
    host, port = "localhost", int(hub.mqtt.rpartition(":")[2])
    with socket.create_connection((host, port)) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        body = b"\0\4MQTT\4\2\0\x1e" + len(client_id).to_bytes(2, "big") + client_id.encode()
        secure.sendall(b"\x10" + bytes([len(body)]) + body)
        assert secure.recv(1) == b""
