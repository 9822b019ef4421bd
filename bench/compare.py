"""Compares the function with the same function in Python and in JavaScript, side by side, as Lambda runs them.

Usage: compare.py BINARY FLOOR PYTHON [RUNS]

FLOOR is the package in bench/floor: a function on lambda_runtime that does nothing. PYTHON is an interpreter with
bench/requirements.txt; bench/node has its own packages (`npm ci`). All functions poll a Runtime API in this process and call
servers in this process that respond at once, so that only the function itself is measured. The functions take turns; the ratio is
what counts. Fails if the binary or its memory exceeds its limit.
"""

import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

COMMANDS = 1000
RESIDENT = "resident, MiB"
# The limits of the binary, stripped and as a zip file, in bytes; and of its memory after all commands, in MiB.
LARGEST_BINARY, LARGEST_ZIPPED, MOST_RESIDENT = 12e6, 5e6, 16
SKILL = "amzn1.ask.skill.00000000-0000-0000-0000-000000000000"
USER = "amzn1.account.BENCH"
THING = "3D_Printer-" + base64.b32encode(hashlib.sha256(USER.encode()).digest()).decode().lower()[:26]
SHADOW = {"state": {"reported": {"status": "idle", "onboarded": {"at": 1}}}, "metadata": {"reported": {"status": {"timestamp": 1}}}, "version": 1}


class Quiet(ThreadingHTTPServer):
    """An HTTP server that ignores connections that a killed function has broken."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Server(BaseHTTPRequestHandler):
    """The Runtime API, Login with Amazon and the shadow service, by path."""

    protocol_version = "HTTP/1.1"
    # A response is one packet, sent at once: otherwise the delayed acknowledgement of TCP would be measured.
    wbufsize = -1
    disable_nagle_algorithm = True
    events = answers = None
    first_poll = None

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, value, status=200, headers=()):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, content in headers:
            self.send_header(name, content)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def do_GET(self):
        if self.path.endswith("/invocation/next"):
            Server.first_poll.set()
            event = Server.events.get()
            if event is None:
                self.close_connection = True
                return
            deadline = str(int((time.time() + 8) * 1000))
            self.reply(event, headers=[
                ("Lambda-Runtime-Aws-Request-Id", event["request"]["requestId"]),
                ("Lambda-Runtime-Deadline-Ms", deadline),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:bench"),
            ])
        elif self.path.startswith("/user/profile"):
            self.reply({"user_id": USER, "name": "Bench", "email": "bench@example.com"})
        else:
            self.reply(SHADOW)

    def do_POST(self):
        body = self.body()
        if "/invocation/" in self.path:
            Server.answers.put((time.perf_counter(), body))
            self.reply({"status": "OK"}, 202)
        else:
            self.reply(SHADOW)


def event(number):
    application, user = {"applicationId": SKILL}, {"userId": "amzn1.ask.account.A", "accessToken": "Atza|bench"}
    return {
        "version": "1.0",
        "session": {"new": True, "sessionId": "s", "application": application, "user": user},
        "context": {"System": {"application": application, "user": user}},
        "request": {
            "type": "IntentRequest", "requestId": f"amzn1.echo-api.request.{number}", "locale": "en-US",
            "timestamp": "2026-01-01T00:00:00Z",
            "intent": {"name": "PrintIntent", "confirmationStatus": "NONE",
                       "slots": {"model": {"name": "model", "value": "vase"}, "copies": {"name": "copies", "value": "2"}}},
        },
    }


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def measure(command, environment):
    Server.events, Server.answers, Server.first_poll = Queue(), Queue(), threading.Event()
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not Server.first_poll.wait(30):
            raise SystemExit(f"{command[0]} does not ask for events")
        figures = {"exec to first poll, ms": (time.perf_counter() - started) * 1e3}

        def ask(number):
            sent = time.perf_counter()
            Server.events.put(event(number))
            answered, body = Server.answers.get(timeout=30)
            assert b"outputSpeech" in body, body
            return (answered - sent) * 1e3

        figures["first command, ms"] = ask(0)
        before = cpu_seconds(process.pid)
        warm = [ask(number) for number in range(1, COMMANDS + 1)]
        figures["command, warm, ms"] = statistics.median(warm)
        figures["CPU per command, ms"] = (cpu_seconds(process.pid) - before) / COMMANDS * 1e3
        figures[RESIDENT] = resident_mib(process.pid)
        return figures
    finally:
        process.kill()
        process.wait()
        Server.events.put(None)


def main():
    binary, floor, python = sys.argv[1:4]
    runs = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    server = Quiet(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    url = f"http://{address}"
    environment = {
        "PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": address, "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "g",
        "AWS_LAMBDA_LOG_STREAM_NAME": "s", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_ENDPOINT_URL": url, "LWA_ENDPOINT": url,
        "SKILL_ID": SKILL, "MAIL_FROM": "bench@example.com", "IOT_ENDPOINT": "localhost", "THING_NAME": THING,
        "AWS_LAMBDA_LOG_LEVEL": "WARN",
    }
    here = os.path.dirname(os.path.abspath(__file__))
    commands = {
        "onething": ([binary], environment),
        "floor": ([floor], environment),
        "Python": ([python, "-m", "awslambdaric", "python_function.handler"],
                   environment | {"PYTHONPATH": here, "LAMBDA_TASK_ROOT": here, "_HANDLER": "python_function.handler"}),
        "Node": (["node", os.path.join(here, "node", "function.mjs")], environment),
    }
    results = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, variables) in commands.items():
            results[name].append(measure(command, variables))
    size, zipped = os.path.getsize(binary), len(zlib.compress(open(binary, "rb").read(), 9))
    print(f"medians of {runs} runs, {COMMANDS} commands each; {size / 1e6:.1f} MB binary, {zipped / 1e6:.1f} MB zipped\n")
    print("| | onething | floor | Python | Node | floor : onething | Python : onething | Node : onething |")
    print("|---|" + "---:|" * 7)
    for figure in results["onething"][0]:
        values = [statistics.median(run[figure] for run in results[name]) for name in commands]
        ratios = [f"{value / values[0]:.1f}" if values[0] else "-" for value in values[1:]]
        print(f"| {figure} | " + " | ".join([f"{value:.2f}" for value in values] + ratios) + " |")
    resident = max(run[RESIDENT] for run in results["onething"])
    if size >= LARGEST_BINARY or zipped >= LARGEST_ZIPPED or resident >= MOST_RESIDENT:
        raise SystemExit(f"the function is too large: {size / 1e6:.1f} MB, {zipped / 1e6:.1f} MB zipped, {resident:.1f} MiB resident")


if __name__ == "__main__":
    main()
