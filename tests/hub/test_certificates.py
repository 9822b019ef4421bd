"""The certificates of the hub, checked by OpenSSL, and bundles after the replacement of the authority."""

import re
import ssl
import subprocess
from dataclasses import replace

from hub import LIMIT
from speaker import OK, Speaker, mutual_tls
from stages import topic


class OpenSsl:
    def __init__(self, tool):
        self.program = tool("openssl")

    def __call__(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, f"openssl {arguments}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def handshakes(self, bundle, place, *tls):
        """A strict handshake with the bundle; returns the chain of the server, as files."""
        told = self(
            "s_client", "-connect", f"{bundle.host}:{bundle.port}", "-servername", bundle.host, "-verify_hostname", bundle.host,
            "-CAfile", bundle.root, "-no-CApath", "-no-CAstore", "-cert", bundle.certificate, "-key", bundle.key,
            "-x509_strict", "-verify_return_error", "-showcerts", *tls,
        )  # fmt: skip
        assert "Verify return code: 0 (ok)" in told, told
        shown = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", told, re.S)
        files = []
        for number, pem in enumerate(shown):
            files.append(place / f"shown-{number}.pem")
            files[-1].write_text(pem)
        return files


def test_a_bundle_is_valid(hub, tool, tmp_path):
    openssl, bundle = OpenSsl(tool), hub.onboard("ana")
    trusted = ["-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore", "-CAfile", bundle.root]
    assert openssl("verify", *trusted, "-purpose", "sslclient", bundle.certificate).endswith(": OK\n")
    assert openssl("verify", *trusted, bundle.root).endswith(": OK\n")
    device = openssl("x509", "-in", bundle.certificate, "-noout", "-text")
    for part in ("CN = AWS IoT Certificate", "Public-Key: (2048 bit)", "CA:FALSE", "TLS Web Client Authentication", "Dec 31 23:59:59 2049 GMT"):
        assert part in device, f"{part} is not in\n{device}"
    assert bundle.key.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert "RSA key ok" in openssl("rsa", "-in", bundle.key, "-check", "-noout")
    public = openssl("rsa", "-in", bundle.key, "-pubout")
    assert public == openssl("x509", "-in", bundle.certificate, "-noout", "-pubkey")
    assert public == (bundle.key.parent / "public.key.pem").read_text()
    root = openssl("x509", "-in", bundle.root, "-noout", "-text")
    for part in ("CA:TRUE", "Certificate Sign", "Subject Key Identifier"):
        assert part in root, f"{part} is not in\n{root}"


def test_the_certificate_of_the_server_is_valid_for_its_names(hub, tool, tmp_path):
    openssl, bundle = OpenSsl(tool), hub.onboard("ana")
    for tls in ("-tls1_2", "-tls1_3"):
        leaf = openssl.handshakes(bundle, tmp_path, tls)[0]
        names = openssl("x509", "-in", leaf, "-noout", "-ext", "subjectAltName,extendedKeyUsage")
        for part in ("DNS:localhost", "IP Address:127.0.0.1", "TLS Web Server Authentication"):
            assert part in names, f"{part} is not in\n{names}"
        assert "does match" in openssl("x509", "-in", leaf, "-noout", "-checkip", "127.0.0.1")
        assert "NOT" in openssl("x509", "-in", leaf, "-noout", "-checkhost", "example.com")
        # The certificate is valid for at least another day.
        assert "will not expire" in openssl("x509", "-in", leaf, "-noout", "-checkend", "86400")


RSA_ONLY = [
    ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("-sigalgs", "RSA+SHA256"),
    ("-tls1_2", "-cipher", "aRSA", "-sigalgs", "RSA+SHA512:RSA+SHA384"),
    ("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"),
]


def roots(bundle):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", bundle.root.read_text(), re.S)


def test_a_device_that_supports_only_rsa_connects_with_the_rsa_root_of_its_bundle(hub, tool, tmp_path):
    openssl, bundles = OpenSsl(tool), [hub.onboard("ana")]
    hub.stop()
    hub.replace_authority()
    hub.start()
    bundles.append(hub.onboard("ben"))
    for number, bundle in enumerate(bundles):
        ecdsa, rsa = roots(bundle)
        for root, kind in ((ecdsa, "id-ecPublicKey"), (rsa, "rsaEncryption")):
            (tmp_path / "root.pem").write_text(root)
            assert kind in openssl("x509", "-in", tmp_path / "root.pem", "-noout", "-text")
        # The file now contains only the RSA root.
        alone = replace(bundle, root=tmp_path / "root.pem")
        for options in RSA_ONLY:
            for known_by in (bundle, alone):
                leaf = openssl.handshakes(known_by, tmp_path, *options)[0]
                assert "rsaEncryption" in openssl("x509", "-in", leaf, "-noout", "-text"), options
        leaf = openssl.handshakes(bundle, tmp_path, "-tls1_2")[0]
        assert "id-ecPublicKey" in openssl("x509", "-in", leaf, "-noout", "-text")
        tls = mutual_tls(alone)
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        device = Speaker(alone, "3.1.1", tls=tls).connected()
        device.listens(topic(bundle.thing, "update/accepted"))
        assert device.publish(topic(bundle.thing, "update"), {"state": {"reported": {"number": number}}}) == OK
        device.receive(topic(bundle.thing, "update/accepted"))
        device.leave()


def test_bundles_remain_valid_after_the_authority_is_replaced(hub, tool, tmp_path):
    openssl, bundles = OpenSsl(tool), {"ana": hub.onboard("ana")}
    for user in ("ben", "cyd"):
        hub.stop()
        hub.replace_authority()
        hub.start()
        if user == "cyd":
            hub.post("/api/users", {"name": user})
        bundles[user] = hub.onboard(user)
        assert len({bundle.root.read_text() for bundle in bundles.values()}) == len(bundles), "each bundle has another root"
        for user, bundle in bundles.items():
            chain = openssl.handshakes(bundle, tmp_path, "-tls1_3")
            intermediates = [part for file in chain[1:] for part in ("-untrusted", file)]
            strictly = ["-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", bundle.root, *intermediates]
            openssl("verify", *strictly, "-purpose", "sslserver", "-verify_hostname", "localhost", chain[0])
            for version in ("3.1.1", "5"):
                device = Speaker(bundle, version).connected().listens(topic(bundle.thing, "update/accepted"))
                assert device.publish(topic(bundle.thing, "update"), {"state": {"reported": {"status": "idle"}}}) == OK
                device.receive(topic(bundle.thing, "update/accepted"))
                device.leave()
