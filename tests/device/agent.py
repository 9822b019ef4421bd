"""The agent as its owner runs it: the real binary with a state folder."""

import json
import signal
import subprocess
import time

from hub import LIMIT, eventually

# Secrets, which may be in files, but not in any output.
SECRETS = ("PRIVATE KEY", "Atza|")


class Agent:
    def __init__(self, binary, place, model=None, inside=()):
        """`model` is the device model; `inside` is a command that runs another one in another network namespace."""
        self.binary, self.place, self.inside = binary, place, list(inside)
        self.place.mkdir()
        self.state = place / "state"
        self.options = ["--state", self.state, *(["--device-model", model] if model else [])]
        self.process = None

    def command(self, *arguments):
        return [*self.inside, self.binary, *self.options, *arguments]

    def ask(self, *arguments, **variables):
        """Runs a command to its end and checks that it prints no secret."""
        done = subprocess.run(
            self.command(*arguments), env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3 * LIMIT
        )
        for secret in (*SECRETS, *variables.values()):
            assert secret not in done.stdout + done.stderr, f"{arguments} prints a secret"
        return done

    def do(self, *arguments, **variables):
        done = self.ask(*arguments, **variables)
        assert done.returncode == 0, f"{arguments}: {done.returncode} {done.stderr}"
        return done.stdout

    def fails(self, code, words, *arguments, **variables):
        """Requires this exit code, and one error message with these words."""
        done = self.ask(*arguments, **variables)
        said = [line for line in done.stderr.splitlines() if line.startswith("onething-device: ")]
        assert done.returncode == code and len(said) == 1 and words in said[0], f"{arguments}: {done.returncode} {done.stderr}"

    def run(self, *arguments, **variables):
        with open(self.place / "agent.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command("run", *arguments), env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def ended(self):
        """Waits until the agent ends by itself; returns its exit code."""
        return self.process.wait(LIMIT)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(LIMIT) == 0, self.log()

    def kill(self):
        """Kills the agent, as a power failure would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(LIMIT)

    def status(self):
        return json.loads(self.do("status", "--json"))

    def is_(self, connection, limit=LIMIT):
        """Waits until `status` shows this connection; returns the seconds that it took."""
        began = time.monotonic()

        def holds():
            assert self.process.poll() is None, f"the agent has ended:\n{self.log()}"
            told = (self.state / "status.json").exists() and self.status()
            return told and told["running"] and (told["agent"] or {}).get("connection") == connection

        eventually(f"the agent is {connection}:\n{self.log()[-2000:]}", holds, limit, every=0.1)
        return time.monotonic() - began

    def log(self):
        log = self.place / "agent.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        for secret in SECRETS:
            assert secret not in text, "the log contains a secret"
        return text

    def credentials(self):
        """The folder with the files in use, and the content of its `connection.json`."""
        folder = self.state / (self.state / "current").read_text().strip()
        return folder, json.loads((folder / "connection.json").read_text())

    def journal(self):
        """The commands in the journal, each with its end or None. A line that a power failure has truncated is ignored."""
        entries = {}
        for line in (self.state / "journal").read_text(errors="replace").splitlines() if (self.state / "journal").exists() else []:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            entries[entry["id"]] = entry.get("status") or entries.get(entry["id"])
        return entries
