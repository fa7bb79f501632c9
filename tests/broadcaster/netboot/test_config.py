from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from broadcaster.netboot.config import AddressRange, Dhcp, NetbootConfig, check_range, network_of
from protocol.errors import ConfigError, RefusedError
from protocol.link.interfaces import resolve_interface

RANGE = "10.0.4.200-10.0.4.220"


def config(**options: Any) -> NetbootConfig:
    return NetbootConfig(Path(), Path(), "lo", **options)


@pytest.mark.parametrize(
    "text", ["", "10.0.4.2", "10.0.4.9-10.0.4.2", "10.0.4.2-10.0.4.300", "a-b", RANGE + "\nuser=root"]
)
def test_what_is_no_range_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="is no range of addresses"):
        AddressRange.parse(text)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"addresses": RANGE}, "no address is given away"),
        ({"dhcp": Dhcp.FULL}, "needs a range"),
        ({"dhcp": Dhcp.RESERVED, "addresses": "x"}, "is no range"),
        ({"server": "ä:8884"}, "cannot be told of such a server"),
        ({"server": "a:b:c"}, "write host:port"),
    ],
)
def test_parts_that_do_not_fit_are_said(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        config(**options).check()


def test_a_range_is_of_the_network_and_leaves_us_out() -> None:
    network = IPv4Interface("10.0.4.2/24")
    check_range(AddressRange.parse(RANGE), network)
    with pytest.raises(ConfigError, match=r"not in 10\.0\.4\.0/24"):
        check_range(AddressRange.parse("10.0.5.2-10.0.5.9"), network)
    with pytest.raises(ConfigError, match="this machine's own address"):
        check_range(AddressRange.parse("10.0.4.1-10.0.4.9"), network)


def test_the_network_of_an_interface() -> None:
    loopback = resolve_interface("lo")
    assert str(network_of(loopback)) == "127.0.0.1/8"


def test_an_interface_without_ipv4_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback = resolve_interface("lo")
    monkeypatch.setattr("psutil.net_if_addrs", dict)
    with pytest.raises(RefusedError, match="no IPv4 address"):
        network_of(loopback)


def test_signed_loaders_need_addresses_of_ours() -> None:
    assert not config().uses_signed_loaders
    assert config(dhcp=Dhcp.RESERVED).uses_signed_loaders
    assert not config(dhcp=Dhcp.FULL, secure_boot=False).uses_signed_loaders
