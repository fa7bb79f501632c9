import socket
from types import SimpleNamespace

import psutil
import pytest

from protocol.link.interfaces import InterfaceInfo
from receiver.machine import machine_name

ETHERNET = InterfaceInfo("eth7", 3, "192.0.2.7", None, 1500, None, is_loopback=False, is_wireless=False)
LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65_536, None, is_loopback=True, is_wireless=False)


def having(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Interfaces with these addresses of the link layer, and one of IPv4 before."""
    found = {
        name: [
            SimpleNamespace(family=socket.AF_INET, address="192.0.2.7"),
            SimpleNamespace(family=socket.AF_PACKET, address=address),
        ]
        for name, address in addresses.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


def test_a_pc_is_known_by_the_address_of_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, eth0="52:54:00:00:00:01", eth7="52:54:00:AB:CD:EF")
    assert machine_name(ETHERNET, "seat") == "52:54:00:ab:cd:ef"


def test_by_its_seat_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, lo="52:54:00:ab:cd:ef", eth7="00:00:00:00:00:00")
    assert machine_name(LOOPBACK, "seat") == "seat"
    assert machine_name(ETHERNET, "seat") == "seat"
    having(monkeypatch)
    assert machine_name(ETHERNET, "seat") == "seat"


def test_on_this_machine() -> None:
    assert machine_name(LOOPBACK, "seat") == "seat"
