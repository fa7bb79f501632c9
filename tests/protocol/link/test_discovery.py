import dataclasses
import subprocess
import sys
from collections.abc import Iterator

import pytest

from protocol.errors import TransportError
from protocol.link.discovery import find_broadcaster
from protocol.link.interfaces import resolve_interface
from tests.lab import Host, Lab, missing_requirement

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")

ADVERTISE = """
import asyncio, sys
from protocol.link.discovery import advertise
from protocol.link.interfaces import resolve_interface

async def main(interface, port):
    async with advertise(resolve_interface(interface), int(port), {"room": "101"}):
        print("advertised", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""

FIND = """
import asyncio, sys
from protocol.errors import SlatecastError
from protocol.link.discovery import find_broadcaster
from protocol.link.interfaces import resolve_interface

wait, *names = sys.argv[1:]
try:
    print(*asyncio.run(find_broadcaster(float(wait), *map(resolve_interface, names))))
except SlatecastError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A network of the test's own: what else runs on this machine must not answer."""
    with Lab(1) as lab:
        yield lab


@pytest.mark.system
@pytest.mark.slow
@needs_lab
def test_broadcaster_is_found_across_a_network_until_it_leaves(lab: Lab) -> None:
    receiver, place = lab.receivers[0], f"{lab.broadcaster.ipv4} 1884"
    broadcaster = _advertise(lab.broadcaster, "eth0", 1884)
    assert _find(receiver, "eth0") == place
    assert _find(receiver) == place
    broadcaster.communicate("")
    assert broadcaster.returncode == 0
    assert _find(receiver, "eth0", wait=0.3).startswith("TransportError no broadcaster answers on interface eth0: ")


@pytest.mark.system
@pytest.mark.slow
@needs_lab
def test_several_broadcasters_are_named_and_not_chosen_between(lab: Lab) -> None:
    _advertise(lab.broadcaster, "eth0", 1884)
    _advertise(lab.broadcaster, "eth0", 1885)
    answer = _find(lab.receivers[0], "eth0")
    assert answer.startswith("ConfigError several broadcasters answer on interface eth0: choose with --server one of ")
    assert f"{lab.broadcaster.ipv4}:1884 (" in answer
    assert f"{lab.broadcaster.ipv4}:1885 (" in answer


@pytest.mark.system
@pytest.mark.slow
@needs_lab
def test_broadcaster_on_the_loopback_interface_is_found(lab: Lab) -> None:
    _advertise(lab.broadcaster, "lo", 1884)
    assert _find(lab.broadcaster, "lo") == "127.0.0.1 1884"
    assert _find(lab.receivers[0], "eth0", wait=0.3).startswith("TransportError ")


@pytest.mark.system
@needs_lab
def test_waiting_ends_in_time_when_nobody_answers(lab: Lab) -> None:
    assert _find(lab.receivers[0], wait=0.1).startswith("TransportError no broadcaster answers on any interface: ")


@pytest.mark.asyncio
async def test_interface_that_lost_its_address_is_told() -> None:
    gone = dataclasses.replace(resolve_interface("lo"), name="gone0", ipv4="192.0.2.1")
    with pytest.raises(TransportError, match="interface gone0 takes no multicast DNS"):
        await find_broadcaster(1, gone)


def _advertise(host: Host, interface: str, port: int) -> subprocess.Popen[str]:
    process = host.popen(
        [sys.executable, "-c", ADVERTISE, interface, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "advertised\n"
    return process


def _find(host: Host, *interfaces: str, wait: float = 10) -> str:
    return host.run([sys.executable, "-c", FIND, str(wait), *interfaces]).stdout.strip()
