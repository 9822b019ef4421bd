"""A Node program in `javascript`, driven by lines of JSON."""

import atexit
import json
import queue
import subprocess
import threading
from pathlib import Path

from hub import LIMIT

PROGRAMS = Path(__file__).parent / "javascript"


class Node:
    def __init__(self, tool, program, options):
        assert (PROGRAMS / "node_modules").is_dir(), "the packages are missing: run `.ci/run`, which installs them"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([tool("node"), PROGRAMS / program], text=True, **pipes)
        atexit.register(self.process.kill)
        self.events, self.seen = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()
        self.tell(options)

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(["ended", self.process.stderr.read()])

    def tell(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def next(self, *names):
        """The values of the next event with one of these names."""
        while True:
            try:
                name, *values = event = self.events.get(timeout=LIMIT)
            except queue.Empty:
                raise AssertionError(f"no {names} for {LIMIT} s after {self.seen}") from None
            if name in names:
                return values
            assert name != "ended", f"the program has ended after {self.seen}: {values}"
            self.seen.append(event)

    def ask(self, method, *values):
        """Calls a method and returns the values of its callback."""
        self.tell([method, *values])
        return self.next(method)

    def leave(self):
        self.tell(["end"])
        assert self.process.wait(LIMIT) == 0
