"""What the netboot part is told: whom it serves, on which interface, and how PCs get addresses."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Interface
from pathlib import Path
from typing import Final

import psutil

from protocol.errors import ConfigError, RefusedError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import InterfaceInfo

DEFAULT_BOOT_PORT: Final = 8886
"""TCP, beside the front door's 8884 and the seat API's 8885; iPXE takes any."""


_PLAIN: Final = r"[0-9A-Za-z.:\[\]-]+"
"""What neither a kernel's command line nor a loader's script takes for anything else."""


class Dhcp(StrEnum):
    """Who gives addresses to PCs that start from the network."""

    PROXY = "proxy"
    """the site's own server; we only add where to boot from"""
    RESERVED = "reserved"
    """the site's own server to everybody, we to firmware and loaders alone, from a few addresses that are ours"""
    FULL = "full"
    """we alone, to everybody in a closed room"""


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses that are ours to give, both ends included."""

    first: IPv4Address
    last: IPv4Address

    @classmethod
    def parse(cls, text: str) -> "AddressRange":
        """From ``10.0.4.200-10.0.4.220``.

        Raises:
            ConfigError: it is none.
        """
        match = re.fullmatch(r"\s*([0-9.]+)\s*-\s*([0-9.]+)\s*", text, re.ASCII)
        try:
            first, last = map(IPv4Address, match.groups()) if match else (None, None)
        except AddressValueError:
            first = last = None
        if first is None or last is None or first > last:
            raise ConfigError(f"{text!r} is no range of addresses: write one like 10.0.4.200-10.0.4.220")
        return cls(first, last)


@dataclass(frozen=True, slots=True)
class NetbootConfig:
    """All that the part needs; it opens the environment by itself."""

    environment: Path
    """folder, as 'slatecast boot build' makes it"""
    orders: Path
    """file of boot orders; need not be there"""
    interface: str
    """name"""
    server: str = ""
    """host:port of the front door that kernels are told; empty: seats look for it by multicast DNS"""
    dhcp: Dhcp = Dhcp.PROXY
    addresses: str = ""
    """range that is ours to give; empty with a proxy"""
    port: int = DEFAULT_BOOT_PORT
    """TCP, of scripts, kernel and initrd"""
    secure_boot: bool = True
    """PCs with UEFI get Debian's signed loaders where those find us"""
    everyone: bool = False
    """every machine boots the environment"""
    answers_all: bool = False
    """machines without an order are sent to their own disks, rather than left to their firmware's patience"""
    machines: tuple[str, ...] = ()
    """addresses that do, beside those with an order"""

    def check(self) -> None:
        """Whether the parts fit each other.

        Raises:
            ConfigError: they do not.
        """
        if self.dhcp is Dhcp.PROXY and self.addresses:
            raise ConfigError("with dhcp 'proxy' no address is given away: leave the range out, or choose 'reserved'")
        if self.dhcp is not Dhcp.PROXY:
            if not self.addresses:
                raise ConfigError(f"dhcp '{self.dhcp}' needs a range of addresses, such as 10.0.4.200-10.0.4.220")
            AddressRange.parse(self.addresses)
        if self.server and not re.fullmatch(_PLAIN, str(FrontDoorAddress.parse(self.server))):
            raise ConfigError(f"{self.server!r}: a kernel cannot be told of such a server; write host:port")

    @property
    def uses_signed_loaders(self) -> bool:
        """Whether PCs with UEFI start shim and GRUB.

        GRUB asks the server that gave the PC its address for its configuration, whatever a proxy said: beside the
        site's own DHCP it would find nothing, and stop at its prompt.
        """
        return self.secure_boot and self.dhcp is not Dhcp.PROXY


def network_of(interface: InterfaceInfo) -> IPv4Interface:
    """Address and network of the interface.

    Raises:
        RefusedError: it has no IPv4 address, which PXE needs.
    """
    for address in psutil.net_if_addrs().get(interface.name, ()):
        if address.address == interface.ipv4 and address.netmask:
            return IPv4Interface(f"{address.address}/{address.netmask}")
    raise RefusedError(f"{interface.name} has no IPv4 address, which booting from the network needs: give it one")


def check_range(addresses: AddressRange, network: IPv4Interface) -> None:
    """Whether the range is of this network, and leaves our own address out.

    Raises:
        ConfigError: it does not.
    """
    span = f"{addresses.first}-{addresses.last}"
    if addresses.first not in network.network or addresses.last not in network.network:
        raise ConfigError(f"range {span} is not in {network.network}, the network of this machine: choose another")
    if addresses.first <= network.ip <= addresses.last:
        raise ConfigError(f"range {span} holds {network.ip}, this machine's own address: choose another")
