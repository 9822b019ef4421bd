"""A hub and a device on two machines with two network links: network namespaces of Linux (`man 7 network_namespaces`)."""

import ctypes
import os
import subprocess

from hub import LIMIT

HUB = "10.77.0.1"
# A number for each link, which is part of its addresses.
WIRES = {"wifi": 1, "cable": 2}
NOBODY = "02:00:00:00:00:0f"
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def system(call, *arguments):
    assert call(*arguments) == 0, f"{os.strerror(ctypes.get_errno())}: namespaces of the network need root"


class Machines:
    """This thread, and the processes it starts, move to the machine of the hub; the device has its own."""

    def __init__(self, tool):
        self.ip, nsenter = tool("ip"), tool("nsenter")
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.process = None
        system(libc.unshare, CLONE_NEWNET)
        try:
            self.process = subprocess.Popen(
                [tool("unshare"), "--net", "sh", "-c", "echo here; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert self.process.stdout.readline() == b"here\n"
            self.of_the_device = [nsenter, f"--net=/proc/{self.process.pid}/ns/net", "--"]
            self.hub("link set lo up")
            self.hub(f"addr add {HUB}/32 dev lo")
            self.device("link set lo up")
            for wire, number in WIRES.items():
                self.hub(f"link add {wire} type veth peer name {wire} netns {self.process.pid}")
                self.hub(f"link set {wire} up")
                self.hub(f"addr add 10.{number}.0.1/24 dev {wire}")
                self.device(f"addr add 10.{number}.0.2/24 dev {wire}")
        except BaseException:
            self.end()
            raise

    def hub(self, words):
        self._ip([], words)

    def device(self, words):
        self._ip(self.of_the_device, words)

    def _ip(self, inside, words):
        done = subprocess.run([*inside, self.ip, *words.split()], capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, f"ip {words}: {done.stderr}"

    def plug(self, wire):
        self.device(f"link set {wire} up")
        self.device(f"route replace default via 10.{WIRES[wire]}.0.1")

    def unplug(self, wire):
        self.device(f"link set {wire} down")

    def swallow(self, wire):
        """Drops all packets without an error: they go to a MAC address that does not exist."""
        self.hub(f"neigh replace 10.{WIRES[wire]}.0.2 lladdr {NOBODY} nud permanent dev {wire}")
        self.device(f"neigh replace 10.{WIRES[wire]}.0.1 lladdr {NOBODY} nud permanent dev {wire}")

    def pass_on(self, wire):
        self.hub(f"neigh del 10.{WIRES[wire]}.0.2 dev {wire}")
        self.device(f"neigh del 10.{WIRES[wire]}.0.1 dev {wire}")

    def end(self):
        system(libc.setns, self.home, CLONE_NEWNET)
        os.close(self.home)
        if self.process:
            self.process.kill()
            self.process.wait(LIMIT)
