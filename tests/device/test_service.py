"""The systemd unit, checked by systemd: Debian 12 has version 252."""

import shutil
import subprocess

import pytest

from workshop import SAMPLE

ACTIONS = """
[action.property.bedTarget]
file = "/sys/class/leds/bed/brightness"
[action.command.print]
run = ["/bin/true"]
"""


@pytest.fixture
def installed(device_binary, tmp_path):
    """The agent at a path that a service can access; a home folder is hidden from most services."""
    program = tmp_path / "onething-device"
    shutil.copy(device_binary, program)
    return program


def ran(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("user", [None, "root", "daemon"])
@pytest.mark.parametrize("actions", ["", ACTIONS])
def test_systemd_accepts_the_unit_without_a_warning(installed, tmp_path, user, actions):
    model = tmp_path / "printer.toml"
    model.write_text(SAMPLE.read_text() + actions)
    state = "/var/lib/onething-device" if user is None else tmp_path / "state of a device"
    unit = tmp_path / "onething-device.service"
    options = ["--device-model", model, "--name", "office:3", *(["--user", user] if user else [])]
    written = ran(installed, "--state", state, "service", "--write", unit, *options)
    assert written.returncode == 0, written
    judged = ran("systemd-analyze", "verify", "--man=no", unit)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, ""), unit.read_text()

    removed = ran(installed, "service", "--remove", unit)
    assert removed.returncode == 0 and "is removed" in removed.stdout, removed
    assert not unit.exists()
    again = ran(installed, "service", "--remove", unit)
    assert again.returncode == 1 and "is not there" in again.stderr, again
