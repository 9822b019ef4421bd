"""Compares the agent with the same device in Python, taking turns, on one machine with one hub.

usage: bench/device.py AGENT HUB PYTHON [TURNS [IDLE_SECONDS]]
PYTHON is an interpreter with tests/foreign/requirements-hub.txt. Prints medians, and their ratios. Fails if the agent exceeds the limits
for the small machines that it is made for.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/hub"))

from hub import Hub, eventually  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
RESIDENT = "resident, MiB"
# The limits in bytes.
MOST_RESIDENT = 8e6
LARGEST_BINARY = 6e6


def until_connected(process, stream):
    for line in stream:
        if "connected" in line:
            return
    raise SystemExit(f"a device has ended with {process.wait()}")


def resident(pid):
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK * 1000


def command(hub):
    """The time in milliseconds from the utterance to the report that the command is done."""
    before = answered(hub)
    began = time.perf_counter()
    hub.say("ana", "ask my printer to resume")
    eventually("a report of the command", lambda: answered(hub) != before)
    return (time.perf_counter() - began) * 1000


def answered(hub):
    return hub.thing("ana")["shadow"].get("state", {}).get("reported", {}).get("command", {}).get("id")


def measure(hub, start, commands, idle):
    began = time.perf_counter()
    process, stream = start()
    try:
        until_connected(process, stream)
        connected = (time.perf_counter() - began) * 1000
        took = [command(hub) for _ in range(commands)]
        before = cpu(process.pid)
        time.sleep(idle)
        return {
            "start to connected, ms": connected,
            "utterance to report, ms": statistics.median(took),
            RESIDENT: resident(process.pid),
            "CPU while idle, ms per minute": (cpu(process.pid) - before) * 60 / idle,
        }
    finally:
        process.kill()
        process.wait()


def main(agent, hub, python, turns="5", idle="30"):
    with tempfile.TemporaryDirectory() as place:
        hub = Hub(hub, place).start()
        try:
            folder = hub.onboard("ana").certificate.parent
            script = Path(place) / "done"
            script.write_text("#!/bin/sh\n")
            script.chmod(0o755)
            model = Path(place) / "device.toml"
            actions = "".join(f'[action.command.{name}]\nrun = ["{script}"]\n' for name in ["print", "pause", "resume", "cancel"])
            model.write_text((ROOT / "device.toml").read_text() + actions)

            def ours():
                state = ["--state", f"{place}/state", "--device-model", model]
                process = subprocess.Popen([agent, "run", "--bundle", folder, *state], stderr=subprocess.PIPE, text=True)
                return process, process.stderr

            def theirs():
                command = [python, ROOT / "bench/python_device.py", folder]
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                return process, process.stdout

            runs = {"onething": [], "Python": []}
            for _ in range(int(turns)):
                for name, start in [("onething", ours), ("Python", theirs)]:
                    runs[name].append(measure(hub, start, 20, float(idle)))
        finally:
            hub.stop()
    print(f"| medians of {turns} runs | onething | Python | ratio |\n|---|---:|---:|---:|")
    for what in runs["onething"][0]:
        one, other = (statistics.median(run[what] for run in runs[name]) for name in ["onething", "Python"])
        ratio = f"{other / one:.1f}" if one else "-"
        print(f"| {what} | {one:.1f} | {other:.1f} | {ratio} |")
    binary = os.path.getsize(agent)
    print(f"| binary, MB | {binary / 1e6:.1f} | | |")
    most = max(run[RESIDENT] for run in runs["onething"]) * 1024 * 1024
    if most >= MOST_RESIDENT or binary >= LARGEST_BINARY:
        raise SystemExit(f"the agent is too large: {most / 1e6:.1f} MB resident, {binary / 1e6:.1f} MB on the disk")


main(*sys.argv[1:])
