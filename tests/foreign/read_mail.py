"""Opens mails with Python's own parsers, as a mail program would.

Standard input: a list of {"message": path of the message, "into": folder}. Standard output: the content of each mail,
and all its defects. Each attached zip is saved beside the folder and unpacked into it, and OpenSSL checks that the key
in it fits the certificate.
"""

import io
import json
import re
import ssl
import sys
import zipfile
from email import policy
from email.parser import BytesParser
from pathlib import Path


def defects_of(part):
    found = [f"{type(defect).__name__}: {defect}" for defect in part.defects]
    for name, value in part.items():
        found += [f"{name}: {type(defect).__name__}" for defect in getattr(value, "defects", [])]
    if not part.is_multipart():
        part.get_payload(decode=True)
        found += [f"{type(defect).__name__}: {defect}" for defect in part.defects]
    return found


def addresses(message, header):
    value = message[header]
    if value is None:
        return []
    return [{"name": one.display_name, "address": one.addr_spec} for one in value.addresses]


def unpack(content, folder):
    Path(folder).with_suffix(".zip").write_bytes(content)
    files = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        damaged = archive.testzip()
        for member in archive.infolist():
            files.append({"name": member.filename, "size": member.file_size})
        archive.extractall(folder)
    return {"files": files, "damaged": damaged, "fits": fits(Path(folder))}


def fits(folder):
    """Whether certificate and private key are a pair; loading them fails otherwise."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            folder / "certificate.pem", folder / "private.key.pem"
        )
    except (OSError, ssl.SSLError):
        return False
    return True


def lines_of(raw):
    """RFC 5321: a line ends with CRLF and has at most 998 characters."""
    faults = []
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw):
        faults.append("a line that does not end in CRLF")
    if any(len(line) > 998 for line in raw.split(b"\r\n")):
        faults.append("a line of more than 998 characters")
    if any(byte > 127 for byte in raw):
        faults.append("a byte that is not ASCII")
    return faults


def attachment_headers(raw, part):
    """The lines of the message with the name of the file, as transmitted."""
    name = part.get_filename().encode()
    return [line for line in raw.split(b"\r\n") if b'name="%s"' % name in line]


def read(given):
    raw = Path(given["message"]).read_bytes()
    message = BytesParser(policy=policy.default).parsebytes(raw)
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    attachments = []
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        attachment = {
            "name": part.get_filename(),
            "type": part.get_content_type(),
            "headers": [line.decode() for line in attachment_headers(raw, part)],
            "size": len(content),
        }
        if zipfile.is_zipfile(io.BytesIO(content)):
            attachment.update(unpack(content, given["into"]))
        attachments.append(attachment)
    return {
        "from": addresses(message, "from"),
        "to": addresses(message, "to"),
        "reply_to": addresses(message, "reply-to"),
        "subject": message["subject"],
        "headers": sorted({name.lower() for name in message.keys()}),
        "text": text.get_content() if text else None,
        "html": html.get_content() if html else None,
        "attachments": attachments,
        "defects": [defect for part in message.walk() for defect in defects_of(part)]
        + lines_of(raw),
    }


def main():
    json.dump([read(given) for given in json.load(sys.stdin)], sys.stdout)


main()
