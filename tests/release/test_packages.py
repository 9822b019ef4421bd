"""The packages and the image, used as users do: installed, started, upgraded and purged on this machine, which must
be a Debian without the packages. The tests need root, dpkg-deb, setpriv, strip and buildah; none is skipped.

    cargo build -p onething-hub -p onething-device
    python3 -m pytest -q tests/release

ONETHING_HUB_BINARY and ONETHING_DEVICE_BINARY name other programs, such as the static ones of a release."""

import json
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60
PACKAGES = ["onething-hub", "onething-device"]
HUB_DATA = Path("/var/lib/onething")
HUB_VARIABLES = Path("/etc/onething/hub.env")
DEVICE_STATE = Path("/var/lib/onething-device")
DEVICE_VARIABLES = Path("/etc/default/onething-device")
# An unused user id, as systemd allocates one for the agent (systemd.exec(5), DynamicUser=).
DEVICE_USER = "61999"
IMAGE_USER = "65532"
NEXT_VERSION = "9.0.0"
# The environment of the commands, without the variables and the locale of the tester.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def ran(*command, **options):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=ENVIRONMENT, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def eventually(check):
    end = time.monotonic() + LIMIT
    while not (found := check()):
        assert time.monotonic() < end, f"not within {LIMIT} s"
        time.sleep(0.1)
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A program that keeps running, and its output."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "ab") as errors:
            self.process = subprocess.Popen([str(word) for word in command], env=environment, stdout=subprocess.PIPE, stderr=errors)
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()

    def ready(self):
        try:
            return json.loads(self.lines.get(timeout=LIMIT))
        except queue.Empty:
            raise AssertionError(f"not ready within {LIMIT} s:\n{self.log.read_text()}") from None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(LIMIT)


@pytest.fixture
def started():
    processes = []
    yield processes
    for process in processes:
        process.stop()


@pytest.fixture(scope="module")
def version():
    return re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    assert os.geteuid() == 0, "packages are installed by root"
    folder = tmp_path_factory.mktemp("programs")
    for name, variable in (("onething-hub", "ONETHING_HUB_BINARY"), ("onething-device", "ONETHING_DEVICE_BINARY")):
        binary = Path(os.environ.get(variable) or ROOT / "target/debug" / name)
        assert binary.exists(), f"{binary} is missing: run `cargo build -p {name}`, or name another one in {variable}"
        ran("strip", "-o", folder / name, binary)
    return folder


@pytest.fixture(scope="module")
def build(programs, tmp_path_factory):
    """Builds parts of a release from the programs."""

    def build(parts, version):
        output = tmp_path_factory.mktemp("files")
        options = ["--programs", programs, "--output", output, "--version", version, "--only", parts, "--fast"]
        command = [ROOT / "release/build", *options]
        subprocess.run([str(word) for word in command], check=True, timeout=600, stdout=subprocess.DEVNULL)
        return output

    return build


@pytest.fixture
def clean_machine():
    for package in PACKAGES:
        status = subprocess.run(["dpkg-query", "--show", package], capture_output=True, text=True)
        assert status.returncode != 0, f"{package} is installed here: the test would purge it"
    yield
    subprocess.run(["dpkg", "--purge", *PACKAGES], capture_output=True, env=ENVIRONMENT)


def unit(name):
    """The settings of an installed unit."""
    text = Path(f"/lib/systemd/system/{name}.service").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def start(name, user, log, started):
    """Starts a unit as systemd does, which does not run in a container: with its user and variables, and without
    capabilities."""
    settings = unit(name)
    variables = Path(settings["EnvironmentFile"].removeprefix("-")).read_text().splitlines()
    environment = ENVIRONMENT | dict(line.split("=", 1) for line in variables if line and not line.startswith("#"))
    who = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    process = Process([*who, *shlex.split(settings["ExecStart"])], environment, log)
    started.append(process)
    return process


def files_of(package):
    return [Path(line) for line in ran("dpkg", "--listfiles", package).splitlines() if Path(line).is_file()]


def packages_in(folder):
    return sorted(folder.glob("*.deb"))


def version_of(package):
    return ran("dpkg-query", "--show", "--showformat=${Version}", package)


def things():
    return json.loads(ran("onething-hub", "things", "--data", HUB_DATA, "--json"))["things"]


def is_connected():
    status = subprocess.run(
        ["onething-device", "--state", DEVICE_STATE, "status", "--json"], capture_output=True, text=True, env=ENVIRONMENT
    )
    return status.returncode == 0 and (json.loads(status.stdout)["agent"] or {}).get("connection") == "connected"


def test_the_packages_are_installed_started_upgraded_and_purged(build, version, clean_machine, started, tmp_path):
    first, second = build("debian", version), build("debian", NEXT_VERSION)
    ran("dpkg", "--install", *packages_in(first))
    assert [version_of(package) for package in PACKAGES] == [version, version]
    installed = [file for package in PACKAGES for file in files_of(package)]
    assert (HUB_DATA.owner(), HUB_DATA.stat().st_mode & 0o777) == ("onething", 0o700)
    assert {file.stat().st_mode & 0o777 for file in (HUB_VARIABLES, DEVICE_VARIABLES)} == {0o600}
    for package in PACKAGES:
        assert ran("dpkg", "--verify", package) == ""
        assert ran(package, "--version") == f"{package} {version}\n"
        assert "NAME" in ran("man", "-l", "-P", "cat", f"/usr/share/man/man1/{package}.1.gz")

    # The settings of an administrator are kept.
    mqtt = free_port()
    with open(HUB_VARIABLES, "a") as variables:
        variables.write(f"ONETHING_HTTP=127.0.0.1:0\nONETHING_MQTT=127.0.0.1:{mqtt}\n")
    with open(DEVICE_VARIABLES, "a") as variables:
        variables.write("ONETHING_DEVICE_NAME=office\n")
    edited = {file: file.read_text() for file in (HUB_VARIABLES, DEVICE_VARIABLES)}

    hub = start("onething-hub", unit("onething-hub")["User"], tmp_path / "hub.log", started)
    with urllib.request.urlopen(hub.ready()["http"] + "/health", timeout=LIMIT) as answer:
        assert json.loads(answer.read()) == {"status": "ok"}
    assert ran("onething-hub", "health", "--data", HUB_DATA) == "ok\n"

    ran("onething-hub", "link", "--as", "ana", "--data", HUB_DATA)
    ran("onething-hub", "mail", "--as", "ana", "--save", tmp_path, "--data", HUB_DATA)
    (bundle,) = tmp_path.glob("*.zip")
    ran("onething-device", "--state", DEVICE_STATE, "setup", bundle)
    ran("chown", "--recursive", f"{DEVICE_USER}:{DEVICE_USER}", DEVICE_STATE)
    device = start("onething-device", DEVICE_USER, tmp_path / "device.log", started)
    eventually(is_connected)
    (thing,) = things()

    # Without systemd the test stops and starts the processes.
    device.stop()
    hub.stop()
    ran("dpkg", "--install", *packages_in(second))
    assert [version_of(package) for package in PACKAGES] == [NEXT_VERSION, NEXT_VERSION]
    assert {file: file.read_text() for file in edited} == edited
    start("onething-hub", "onething", tmp_path / "hub.log", started).ready()
    assert [after["thing"] for after in things()] == [thing["thing"]]
    start("onething-device", DEVICE_USER, tmp_path / "device.log", started)
    eventually(is_connected)
    for process in started:
        process.stop()

    ran("dpkg", "--remove", *PACKAGES)
    assert all(file.exists() for file in edited) and HUB_DATA.exists() and DEVICE_STATE.exists(), "a removal keeps settings and data"
    ran("dpkg", "--purge", *PACKAGES)
    left = [path for path in [*installed, HUB_DATA, DEVICE_STATE, HUB_VARIABLES.parent] if path.exists()]
    assert left == [], "a purge keeps nothing"
    assert subprocess.run(["getent", "passwd", "onething"], capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("onething-hub", ["--user", "onething", "--data", str(HUB_DATA)]),
        ("onething-device", ["--state", str(DEVICE_STATE)]),
    ],
)
def test_the_unit_of_a_package_is_the_one_that_the_program_writes(programs, name, options):
    written = ran(programs / name, "service", *options).replace(f"{programs / name}", f"/usr/bin/{name}")
    packaged = (ROOT / f"release/debian/{name.removeprefix('onething-')}/{name}.service").read_text()
    if name == "onething-device":
        # The unit that the agent writes has its options in the command.
        packaged = packaged.replace(f"EnvironmentFile=-{DEVICE_VARIABLES}\n", "")
    assert packaged == written


def test_the_maintainer_scripts_and_the_compose_file_are_valid(version):
    for script in (ROOT / "release/debian").glob("*/p*"):
        ran("sh", "-n", script)
    assert f"image: onething-hub:{version}" in (ROOT / "release/compose.yaml").read_text()


def test_the_image_runs_without_root_with_a_volume_and_a_health_check(build, programs, version, started, tmp_path):
    (archive,) = build("image", version).glob("*.tar.gz")
    place = tmp_path / "image"
    with tarfile.open(archive) as files:
        files.extractall(place, filter="data")
    (manifest,) = json.loads((place / "manifest.json").read_text())
    config = json.loads((place / manifest["Config"]).read_text())["config"]
    assert manifest["RepoTags"] == [f"onething-hub:{version}"]
    assert config["User"] == f"{IMAGE_USER}:{IMAGE_USER}"
    assert list(config["Volumes"]) == ["/data"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/onething-hub", "health"]
    assert config["Entrypoint"] == ["/usr/bin/onething-hub"]
    assert config["Labels"]["org.opencontainers.image.version"] == version

    storage = ["buildah", "--root", tmp_path / "storage", "--runroot", tmp_path / "storage-run", "--storage-driver", "vfs"]
    # `docker load` decompresses the archive, buildah does not.
    ran("gzip", "--decompress", archive)
    container = ran(*storage, "from", f"docker-archive:{archive.with_suffix('')}").strip()
    # A dynamic program needs the libraries of this machine; the image of a release has only static programs.
    is_static = "statically linked" in subprocess.run(["ldd", programs / "onething-hub"], capture_output=True, text=True).stdout
    libraries = [] if is_static else [option for path in ("/lib", "/lib64") for option in ("--volume", f"{path}:{path}:ro")]
    run = [*storage, "run", "--isolation", "chroot", *libraries, "--env", "ONETHING_HTTP=127.0.0.1:0", "--env", "ONETHING_MQTT=127.0.0.1:0"]
    hub = Process([*run, container, "--", *config["Entrypoint"]], ENVIRONMENT, tmp_path / "hub.log")
    started.append(hub)
    address = hub.ready()["http"]
    with urllib.request.urlopen(f"{address}/health", timeout=LIMIT) as answer:
        assert json.loads(answer.read()) == {"status": "ok"}
    assert "ok" in ran(*run, container, "--", *config["Healthcheck"]["Test"][1:])


def test_two_builds_give_the_same_bytes(build, programs, version, tmp_path):
    shutil.copy(programs / "onething-device", programs / "onething")
    options = ["--programs", programs, "--output", tmp_path / "files", "--fast", "--check"]
    checked = subprocess.run([str(ROOT / "release/build"), *map(str, options)], capture_output=True, text=True, timeout=600)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    names = {file.name for file in (tmp_path / "files").iterdir()}
    machine = os.uname().machine
    assert {f"onething-lambda-{version}-{machine}.zip", f"SHA256SUMS-{machine}", f"onething-hub-{version}-{machine}.cdx.json"} <= names
    sums = ran("sha256sum", "--check", "--strict", f"SHA256SUMS-{machine}", cwd=tmp_path / "files")
    assert len(sums.splitlines()) == len(names) - 1
