"""The device of a maker: a device model with actions that record their input in files."""

import http.server
import json
import threading
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "device.toml"


class Workshop:
    """`prints` is the script of the print program after it has recorded its input."""

    def __init__(self, place, prints="echo printed", lifetime=None, more=""):
        self.place, self.done = Path(place) / "workshop", Path(place) / "workshop/done"
        self.place.mkdir()
        self.done.touch()
        program = self.program("print", f"line=$(cat)\nprintf '%s\\n' \"$line\" >> '{self.done}'\n{prints}")
        model = SAMPLE.read_text()
        if lifetime:
            model = model.replace("command_lifetime = 3600", f"command_lifetime = {lifetime}")
        self.model = self.place / "device.toml"
        self.model.write_text(f'{model}\n[action.command.print]\nrun = ["{program}"]\n{more}')

    def program(self, name, script):
        file = self.place / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def adds(self, action):
        with open(self.model, "a") as model:
            model.write(f"\n{action}\n")

    def told(self):
        """The inputs of the print program, in order."""
        return [json.loads(line) for line in self.done.read_text().splitlines()]

    def printed(self):
        """The ids of what was printed."""
        return [told["id"] for told in self.told()]


class Appliance:
    """An HTTP server on the device that records its requests."""

    def __init__(self, answer):
        self.told = told = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                told.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()
