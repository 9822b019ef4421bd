"""Certificates that the broker must refuse, and some that it must accept."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NAME = "AWS IoT Certificate"


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def forge(folder, what, issuer=None, subject=None, begins=-DAY, ends=DAY, usage=ExtendedKeyUsageOID.CLIENT_AUTH, authority=False):
    """Creates a certificate and its key; `issuer` is a pair of files, without which it is self-signed. Returns the files."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = subject or name(NAME)
    signer, issued_by, chain = key, subject, b""
    if issuer:
        pem = Path(issuer[0]).read_bytes()
        parent = x509.load_pem_x509_certificate(pem)
        signer = serialization.load_pem_private_key(Path(issuer[1]).read_bytes(), None)
        issued_by, chain = parent.subject, pem
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        certificate = certificate.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    certificate = certificate.sign(signer, hashes.SHA256())
    files = Path(folder) / f"{what}.pem", Path(folder) / f"{what}.key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + chain)
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    return files


def fingerprint(file):
    """The id of a certificate, computed as AWS IoT and the hub do."""
    return x509.load_pem_x509_certificate(Path(file).read_bytes()).fingerprint(hashes.SHA256()).hex()


def subject_of(file):
    return x509.load_pem_x509_certificate(Path(file).read_bytes()).subject
