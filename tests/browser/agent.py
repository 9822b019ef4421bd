"""The device of an owner: the program `onething-device`, with the bundle from the mail that the page shows."""

import json
import os
import pathlib
import subprocess
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def bundle_of(hub, place, user="ana"):
    """Saves the attachment of the user's newest mail. Returns its path."""
    get = lambda path: urllib.request.urlopen(hub.url + path).read()
    mail = [mail for mail in json.loads(get(f"/api/mail?user={user}"))["mail"] if mail["attachment"]][-1]
    path = place / mail["attachment"]["name"]
    path.write_bytes(get(f"/api/mail/{mail['id']}/attachment"))
    return path


class Agent:
    """The agent as a child process."""

    def __init__(self, bundle, place, model=None):
        program = os.environ.get("ONETHING_DEVICE_BINARY", str(ROOT / "target" / "debug" / "onething-device"))
        self.command = [program, "--state", str(place / "state"), *(["--device-model", str(model)] if model else [])]
        self.log = place / "agent.log"
        self.bundle = bundle
        self.run()

    def run(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.command, "run", "--bundle", str(self.bundle)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log.read_text()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
