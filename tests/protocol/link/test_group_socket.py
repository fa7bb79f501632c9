import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from protocol.errors import TransportError
from protocol.link.group_socket import GroupSocket
from protocol.link.interfaces import InterfaceInfo
from protocol.link.multicast import DATA_PORT, MulticastReceiver, MulticastSender

LOOPBACK = InterfaceInfo("lo", socket.if_nametoindex("lo"), "127.0.0.1", "::1", 65_536, None, True, False)


@pytest.mark.parametrize("role", [MulticastSender, MulticastReceiver])
@pytest.mark.parametrize("group", ["", "nonsense", "192.0.2.7", "224.0.0.251", "239.1.2.3.4", "fe80::1", "300.1.1.1"])
def test_what_is_no_group_for_data_is_refused(role: Callable[..., object], group: str) -> None:
    with pytest.raises(TransportError, match=r"use one like 239\.192\.1\.1 or ff15::1"):
        role(LOOPBACK, group, DATA_PORT)


@pytest.mark.parametrize("role", [MulticastSender, MulticastReceiver])
@pytest.mark.parametrize("group", ["239.192.1.1", "ff15::1"])
def test_an_interface_without_an_address_is_refused(role: Callable[..., object], group: str) -> None:
    with pytest.raises(TransportError, match=r"interface lo has no IPv[46] address"):
        role(replace(LOOPBACK, ipv4=None, ipv6=None), group, DATA_PORT)


def test_a_socket_whose_set_up_failed_is_closed() -> None:
    group = GroupSocket(LOOPBACK, "239.192.1.1", DATA_PORT)
    with (
        pytest.raises(TransportError, match=r"multicast 239\.192\.1\.1 port 27183 on lo: the interface is down"),
        group._set_up(),
    ):
        raise OSError(100, "network is down")
    assert group.fileno() == -1
    group.close()  # again has no effect
