"""The ways in which a device gets a certificate from the hub: by mail, or in each of the ways of the registration endpoint."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub import Bundle

TOKEN = "the token of a whole fleet"


def serial(user):
    return f"6f0f6c1e-4a6f-4d8e-8d0b-of-{user}"


def policy(place, users):
    """Writes `register.toml` for a hub that registers the devices of a fleet, and one device of each user by its serial."""
    lamp = '[type.lamp]\nprefix = "3D_Lamp-"\npolicies = ["OneUserOneThing"]\n'
    fleet = f'[[token]]\nname = "factory-1"\nsha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\ntypes = ["lamp"]\n'
    rows = [f'[[serial]]\nsha256 = "{hashlib.sha256(serial(user).encode()).hexdigest()}"\ntype = "lamp"\n' for user in users]
    file = place / "register.toml"
    file.write_text("".join([lamp, fleet, *rows]))
    return file


def by_mail(hub, user):
    return hub.onboard(user)


def by_code(hub, user):
    hub.post("/link", {"user": user})
    card = hub.say(user, "ask my printer to give me a code")["heard"]["card"]
    return register(hub, user, {"code": card["text"].splitlines()[0]})


def by_bearer(hub, user):
    hub.post("/link", {"user": user})
    token = hub.post("/token", {"user": user})["accessToken"]
    return register(hub, user, {}, Authorization=f"Bearer {token}")


def by_token(hub, user):
    # As long as the names of owners' things.
    name = f"Lamp-Number-0123456789-in-the-Hall-of-{user.title()}"
    return register(hub, user, {"thingName": name, "version": "1.0"}, Authorization=f"DeviceToken {TOKEN}")


def by_serial(hub, user):
    return register(hub, user, {"serial": serial(user)})


# Ways for which linking the account has sent a mail with another certificate before.
BESIDE_A_MAIL = (by_code, by_bearer)
WAYS = {"mail": by_mail, "code": by_code, "bearer": by_bearer, "token": by_token, "serial": by_serial}


def csr():
    """A new key, and a CSR for it in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key, request.public_bytes(serialization.Encoding.PEM).decode()


def register(hub, user, shown, **headers):
    """Registers with a CSR for a new key, and stores the files of the response."""
    key, request = csr()
    answer = hub.post("/register", shown | {"csr": request}, **headers)
    assert "privateKey" not in answer
    folder = hub.place / f"registered-{user}"
    folder.mkdir()
    files = {name: folder / name for name in ("certificate.pem", "private.key.pem", "root.pem")}
    files["certificate.pem"].write_text(answer["certificatePem"])
    files["root.pem"].write_text(answer["rootCas"]["preferred"])
    files["private.key.pem"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    return Bundle(
        host=answer["endpoint"],
        port=answer["port"],
        thing=answer["thingName"],
        certificate=files["certificate.pem"],
        key=files["private.key.pem"],
        root=files["root.pem"],
    )
