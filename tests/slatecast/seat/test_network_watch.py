import asyncio
import socket
from types import SimpleNamespace

import psutil
import pytest

from slatecast.seat import network_watch
from slatecast.seat.events import NetworkSeen
from slatecast.seat.network_watch import look_at_network, watch_network

FULL, HALF = psutil.NIC_DUPLEX_FULL, psutil.NIC_DUPLEX_HALF


class Machine:
    """Interfaces that tests plug and unplug."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stats: dict[str, SimpleNamespace] = {}
        self.addresses: dict[str, list[SimpleNamespace]] = {}
        monkeypatch.setattr(psutil, "net_if_stats", lambda: self.stats)
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: self.addresses)

    def plug(
        self, name: str, *addresses: str, mac: str = "02:00:00:00:00:01", speed: int = 1000, duplex: int = FULL
    ) -> None:
        flags = "up,loopback,running" if name == "lo" else "up,broadcast,running,multicast"
        self.stats[name] = SimpleNamespace(isup=True, duplex=duplex, speed=speed, flags=flags)
        entries = [
            SimpleNamespace(family=socket.AF_INET6 if ":" in each else socket.AF_INET, address=each)
            for each in addresses
        ]
        self.addresses[name] = [SimpleNamespace(family=socket.AF_PACKET, address=mac), *entries]

    def unplug(self, name: str) -> None:
        self.stats[name] = SimpleNamespace(isup=False, duplex=0, speed=0, flags="up,broadcast,multicast")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_no_interface(machine: Machine) -> None:
    assert look_at_network() == NetworkSeen()
    machine.plug("lo", "127.0.0.1", speed=0)
    assert look_at_network() == NetworkSeen("lo", "127.0.0.1", has_link=True)


def test_the_one_with_link_and_address_matters(machine: Machine) -> None:
    machine.plug("lo", "127.0.0.1")
    machine.plug("eth0", "192.0.2.7")
    machine.plug("eth1")
    machine.unplug("eth0")
    assert look_at_network() == NetworkSeen("eth1", "", has_link=True, speed_bits_per_second=10**9)
    machine.plug("eth0", "fe80::1%eth0", "2001:db8::7", "192.0.2.7")
    assert look_at_network() == NetworkSeen("eth0", "192.0.2.7", has_link=True, speed_bits_per_second=10**9)


def test_the_one_that_booted_comes_first(machine: Machine) -> None:
    machine.plug("eth0", "192.0.2.7")
    machine.plug("eth1", "192.0.2.8", mac="02:00:00:00:00:AA")
    assert look_at_network("02:00:00:00:00:aa").interface == "eth1"
    assert look_at_network("02:00:00:00:00:bb").interface == "eth0"
    machine.unplug("eth1")
    assert look_at_network("02:00:00:00:00:aa").interface == "eth0"


@pytest.mark.parametrize(
    ("speed", "duplex", "warning"),
    [
        (100, FULL, "The link of eth0 runs at 100 Mbit/s only: try another cable, then another switch port"),
        (1000, HALF, "The link of eth0 is half duplex: set the switch port to negotiate by itself"),
        (1000, FULL, ""),
        (0, FULL, ""),
        (65535, FULL, ""),
    ],
)
def test_a_bad_link_is_told_in_words(machine: Machine, speed: int, duplex: int, warning: str) -> None:
    machine.plug("eth0", "192.0.2.7", speed=speed, duplex=duplex)
    assert look_at_network().warning == warning


@pytest.mark.asyncio
async def test_each_change_is_told_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_watch, "LOOK_SECONDS", 0.0)
    told: asyncio.Queue[NetworkSeen] = asyncio.Queue()
    watching = asyncio.create_task(watch_network(told.put_nowait))
    assert not (await told.get()).has_link
    machine.plug("eth0", "192.0.2.7")
    assert (await told.get()).has_link
    machine.unplug("eth0")
    assert not (await told.get()).has_link
    assert told.empty()
    watching.cancel()
