"""The hub as its operator starts it: the real binary, and its HTTP interface."""

import atexit
import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

LIMIT = 30


@dataclass(frozen=True)
class Bundle:
    """The files of a mailed bundle, and the parameters in `connection.json`."""

    host: str
    port: int
    thing: str
    certificate: Path
    key: Path
    root: Path


class Hub:
    def __init__(self, binary, place, policy=None):
        self.binary = binary
        self.place = Path(place)
        self.data = self.place / "data"
        self.options = ["--register", policy] if policy else []
        self.web, self.mqtt = "127.0.0.1:0", "127.0.0.1:0"
        self.process = None
        self.http = None

    def start(self):
        """Starts the hub. After the first start it uses the same ports again, because the bundles name them."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ONETHING_", "RUST_"))}
        with open(self.place / "hub.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", self.data, "--http", self.web, "--mqtt", self.mqtt, *self.options],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        atexit.register(self.process.kill)
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout], daemon=True).start()
        try:
            ready = json.loads(lines.get(timeout=LIMIT))
        except queue.Empty:
            raise AssertionError(f"the hub is not ready within {LIMIT} s:\n{self.log()}") from None
        assert ready["ready"] is True, ready
        self.http, self.mqtt = ready["http"], ready["mqtt"]
        self.web = self.http.removeprefix("http://")
        return self

    def kill(self):
        """Kills the hub, as a power failure would."""
        self.process.kill()
        self.process.wait(LIMIT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(LIMIT)

    def replace_authority(self):
        """Replaces the certificate authority; the hub must be stopped."""
        subprocess.run([self.binary, "authority", "replace", "--data", self.data], check=True, timeout=LIMIT, capture_output=True)

    def log(self):
        return (self.place / "hub.log").read_text(errors="replace")

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=LIMIT) as answer:
            return answer.read()

    def post(self, path, body, **headers):
        headers |= {"content-type": "application/json"}
        request = urllib.request.Request(self.http + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.loads(answer.read() or "null")

    def say(self, user, words):
        return self.post("/echo", {"user": user, "say": words})

    def thing(self, user):
        """The only thing of a user, with its shadow."""
        [thing] = json.loads(self.get(f"/api/things?user={user}"))["things"]
        return thing

    def onboard(self, user):
        """Links the account of a user, and unpacks the bundle in the mail."""
        self.post("/link", {"user": user})
        return self.open_mail(user)

    def open_mail(self, user):
        mails = json.loads(self.get(f"/api/mail?user={user}"))["mail"]
        mail = max(mails, key=lambda mail: mail["at"])
        attachment = self.get(f"/api/mail/{mail['id']}/attachment")
        folder = self.place / f"bundle-{user}-{len(mails)}"
        with zipfile.ZipFile(io.BytesIO(attachment)) as files:
            files.extractall(folder)
        told = json.loads((folder / "connection.json").read_text())
        return Bundle(
            host=told["endpoint"],
            port=told["port"],
            thing=told["clientId"],
            certificate=folder / told["certificate"],
            key=folder / told["privateKey"],
            root=folder / told["rootCas"][0],
        )


def eventually(what, holds, limit=LIMIT, every=0.02):
    """Polls until `holds` returns a true value, for changes without an event."""
    end = time.monotonic() + limit
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {limit} s"
        pause.wait(every)
