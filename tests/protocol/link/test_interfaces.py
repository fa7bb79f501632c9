import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psutil
import pytest

from protocol.errors import TransportError
from protocol.link.interfaces import MINIMUM_MTU, InterfaceInfo, resolve_interface
from protocol.link.linux_udp import MAX_BATCH_BYTES
from protocol.wire import ENCODING_SYMBOL_LENGTH, HEADER_LENGTH, TAG_LENGTH

LOOPBACK = InterfaceInfo("lo", socket.if_nametoindex("lo"), "127.0.0.1", "::1", 65_536, None, True, False)


class TestOnThisMachine:
    @pytest.mark.parametrize("name", ["lo", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1"])
    def test_by_name_or_address(self, name: str) -> None:
        assert resolve_interface(name) == LOOPBACK

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9", "::1"])
    def test_by_the_route_to_a_host(self, host: str) -> None:
        assert resolve_interface(towards=host) == LOOPBACK

    @pytest.mark.parametrize("name", ["eth99", "192.0.2.77", "", "../lo", "fe80::1%lo", "x" * 300, "\0"])
    def test_what_does_not_exist_lists_what_does(self, name: str) -> None:
        with pytest.raises(TransportError, match=r"no interface has the name or address .*there is .*\blo\b"):
            resolve_interface(name)

    @pytest.mark.parametrize("host", ["", "x" * 300, "a..b", "\0"])
    def test_a_host_that_has_no_address_is_told_in_words(self, host: str) -> None:
        with pytest.raises(TransportError, match=r"leads to no address|no route leads to"):
            resolve_interface(towards=host)

    def test_the_largest_datagram_fits_the_smallest_mtu(self) -> None:
        assert HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH + 8 + 40 <= MINIMUM_MTU < MAX_BATCH_BYTES


PROGRAM = """
import json, sys
from dataclasses import asdict
from protocol.errors import TransportError
from protocol.link.interfaces import resolve_interface
for name, towards in json.loads(sys.argv[1]):
    try:
        print(json.dumps(asdict(resolve_interface(name, towards=towards))))
    except TransportError as error:
        print(json.dumps(str(error)))
"""


def on_a_machine_with(commands: list[str], *questions: tuple[str | None, str | None]) -> list[Any]:
    """The answers of ``resolve_interface(name, towards=host)`` in a network namespace made by these ``ip`` commands."""
    script = "set -e; ip link set lo up; " + "".join(f"ip {command}; " for command in commands)
    done = subprocess.run(
        [
            "unshare",
            "--net",
            "sh",
            "-c",
            script + 'exec "$0" -c "$1" "$2"',
            sys.executable,
            PROGRAM,
            json.dumps(questions),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


ETH0 = ["link add eth0 type veth peer name port0", "link set port0 up", "link set eth0 up"]
ETH1 = ["link add eth1 type veth peer name port1", "link set port1 up", "link set eth1 up"]
ADDRESS0 = "address add 10.1.0.2/24 dev eth0"
ADDRESS1 = "address add 10.2.0.2/24 dev eth1"
NO_IPV6 = [f"link set {name} addrgenmode none" for name in ("port0", "eth0")]


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")
class TestOnOtherMachines:
    def test_the_default_route_decides(self) -> None:
        commands = [*ETH0, *ETH1, ADDRESS0, ADDRESS1, "route add default via 10.2.0.1"]
        default, near, far = on_a_machine_with(commands, (None, None), (None, "10.1.0.77"), (None, "203.0.113.5"))
        assert (default["name"], near["name"], far["name"]) == ("eth1", "eth0", "eth1")

    def test_an_ipv6_only_room(self) -> None:
        commands = [*ETH0, "address add fd00:1::2/64 dev eth0 nodad", "route add default via fd00:1::1 dev eth0"]
        default, near = on_a_machine_with(commands, (None, None), (None, "fd00:1::9"))
        assert default == near
        assert (default["name"], default["ipv4"], default["ipv6"]) == ("eth0", None, "fd00:1::2")

    def test_without_routes_the_only_interface_is_taken(self) -> None:
        commands = [
            "link add eth0 type veth peer name port0",
            *NO_IPV6,
            "link set port0 up",
            "link set eth0 up",
            ADDRESS0,
        ]
        (default,) = on_a_machine_with(commands, (None, None))
        assert default["name"] == "eth0"

    def test_without_routes_several_interfaces_are_ambiguous(self) -> None:
        (default,) = on_a_machine_with([*ETH0, *ETH1, ADDRESS0, ADDRESS1], (None, None))
        assert default.startswith("no default route says which interface to use: choose one of eth0, eth1")

    def test_without_a_network_there_is_the_loopback(self) -> None:
        (default, lost) = on_a_machine_with([], (None, None), (None, "203.0.113.5"))
        assert (default["name"], default["is_loopback"]) == ("lo", True)
        assert lost == "no route leads to 203.0.113.5: check cable and addresses, or choose an interface"

    def test_what_is_unfit_is_told_in_words(self) -> None:
        commands = [
            "link add eth0 type veth peer name port0",
            "link add eth1 type veth peer name port1",
            *(f"link set {name} addrgenmode none" for name in ("eth1", "port1")),
            *("link set eth1 up", "link set port1 up"),
            *("link add eth2 type veth peer name port2", "link set eth2 mtu 1492 up", "link set port2 up"),
            "address add 10.3.0.2/24 dev eth2",
        ]
        down, bare, small = on_a_machine_with(commands, ("eth0", None), ("eth1", None), ("10.3.0.2", None))
        assert down == "interface eth0 is down: check the cable, or run ip link set eth0 up"
        assert bare == "interface eth1 has no address: check DHCP, or give it one"
        assert small == (
            "interface eth2 takes 1492 bytes (MTU) where our datagrams need 1500: raise it or choose another"
        )

    def test_a_routable_address_is_preferred(self) -> None:
        commands = [*ETH0, "address add fd00:1::2/64 dev eth0 nodad", ADDRESS0, "address add 10.1.0.3/24 dev eth0"]
        by_name, by_second = on_a_machine_with(commands, ("eth0", None), ("10.1.0.3", None))
        assert by_name == by_second
        assert by_name["ipv4"] == "10.1.0.2"
        assert by_name["ipv6"] == "fd00:1::2"
        assert (by_name["mtu"], by_name["is_loopback"], by_name["is_wireless"]) == (1500, False, False)


@pytest.mark.parametrize(
    ("speed", "expected"), [(0, None), (-1, None), (65_535, None), (1000, 10**9), (2500, 25 * 10**8)]
)
def test_the_speed_is_told_only_where_it_is_known(
    speed: int, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is: Callable[[], dict[str, Any]] = psutil.net_if_stats
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {"lo": as_it_is()["lo"]._replace(speed=speed)})
    assert asdict(resolve_interface("lo")) == {**asdict(LOOPBACK), "speed_bits_per_second": expected}
