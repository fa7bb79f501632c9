"""Who sends to a group, seen from a host of a lab: the broadcaster, and somebody who takes its address."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.errors import TransportError
from protocol.link import sender_watch
from protocol.link.sender_watch import SenderWatch, neighbour_mac
from tests.lab import INTERFACE, Host, Lab, missing_requirement

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[3]
GROUP = {4: "239.192.5.5", 6: "ff15::8000:5"}

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")

WATCHER = """
import json, sys
from protocol.link.interfaces import resolve_interface
from protocol.link.multicast import MulticastReceiver
from protocol.link.sender_watch import SenderWatch, neighbour_mac
interface, group, source = sys.argv[1:]
member = MulticastReceiver(resolve_interface(interface), group, 27183, source=source)
with member, SenderWatch(interface, group) as watch:
    print("looking", flush=True)
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "ignore":
            watch.ignore(argument)
        found = {" ".join(sender): count for sender, count in watch.read().items()}
        print(json.dumps([found, neighbour_mac(source, interface)]), flush=True)
"""

SENDER = """
import sys
from tests.network_faults.injector import spoofed_sender
group, port, source, count = sys.argv[1:]
with spoofed_sender(group, int(port), source) as sender:
    for number in range(int(count)):
        sender.send(bytes(100))
"""


class Watcher:
    """A SenderWatch on a host."""

    def __init__(self, host: Host, group: str, source: str) -> None:
        argv = [sys.executable, "-c", WATCHER, INTERFACE, group, source]
        self._process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        assert self._stdout.readline() == "looking\n"

    def look(self, word: str = "look") -> tuple[dict[str, int], str | None]:
        """Who was heard since the last look, and the MAC of the source as the neighbour table has it."""
        self._stdin.write(f"{word}\n")
        self._stdin.flush()
        found, mac = json.loads(self._stdout.readline())
        return found, mac


@contextmanager
def watched(version: int) -> Iterator[tuple[Lab, Watcher, str, str]]:
    """A lab whose first receiver looks at a group; with the group and the broadcaster's address."""
    with Lab(2) as lab:
        source = lab.broadcaster.ipv4 if version == 4 else lab.broadcaster.ipv6
        yield lab, Watcher(lab.receivers[0], GROUP[version], source), GROUP[version], source


def send(host: Host, group: str, source: str, count: int, port: int = 27183) -> None:
    command = host.command([sys.executable, "-c", SENDER, group, str(port), source, str(count)])
    subprocess.run(command, check=True, cwd=ROOT)


def mac_of(host: Host) -> str:
    return host.run(["cat", f"/sys/class/net/{INTERFACE}/address"]).stdout.strip()


@needs_lab
@pytest.mark.parametrize("version", [4, 6])
def test_two_machines_of_one_address_are_told_apart(version: int) -> None:
    with watched(version) as (lab, watcher, group, source):
        true, liar = lab.broadcaster, lab.receivers[1]
        assert watcher.look()[0] == {}
        send(true, group, source, 30)
        send(liar, group, source, 3)
        assert watcher.look()[0] == {f"{mac_of(true)} {source}": 30, f"{mac_of(liar)} {source}": 3}
        watcher.look(f"ignore {mac_of(true)}")
        send(true, group, source, 30)
        send(liar, group, source, 2)
        assert watcher.look()[0] == {f"{mac_of(liar)} {source}": 2}


@needs_lab
def test_what_goes_elsewhere_is_not_looked_at() -> None:
    with watched(4) as (lab, watcher, group, source):
        send(lab.receivers[1], "239.192.5.6", source, 9)
        lab.receivers[1].run(["ping", "-c", "1", "-W", "1", lab.receivers[0].ipv4], check=False)
        send(lab.receivers[1], group, source, 1)
        assert watcher.look()[0] == {f"{mac_of(lab.receivers[1])} {source}": 1}


@needs_lab
def test_the_neighbour_table_knows_whom_one_has_spoken_with() -> None:
    with watched(4) as (lab, watcher, _, source):
        assert watcher.look()[1] is None
        talk = "import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', (sys.argv[1], 9))"
        lab.broadcaster.run([sys.executable, "-c", talk, lab.receivers[0].ipv4])
        lab.receivers[0].run([sys.executable, "-c", talk, source])
        assert watcher.look()[1] == mac_of(lab.broadcaster)


def test_a_neighbour_table_that_cannot_be_read_knows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (None, "", "IP address HW type\nnonsense\n", "head\n10.0.0.1 0x1 0x0 02:00:00:00:00:01 * eth0\n"):
        table = tmp_path / "arp"
        if text is not None:
            table.write_text(text)
        monkeypatch.setattr(sender_watch, "_NEIGHBOURS", table)
        assert neighbour_mac("10.0.0.1", "eth0") is None
    table.write_text("head\n10.0.0.1 0x1 0x2 02:00:00:00:00:01 * eth0\n")
    assert neighbour_mac("10.0.0.1", "eth0") == "02:00:00:00:00:01"
    assert neighbour_mac("10.0.0.1", "eth1") is neighbour_mac("10.0.0.2", "eth0") is neighbour_mac("", "eth0") is None


@needs_lab
def test_an_interface_that_is_not_there_cannot_be_looked_at() -> None:
    with pytest.raises(TransportError, match=r"looking who sends to 239\.192\.5\.5 on none0: No such device"):
        SenderWatch("none0", GROUP[4])
