"""dnsmasq's configuration: DHCP and TFTP for PCs that start from the network, on one interface, no DNS.

Machines without an order get no answer as to what to boot, unless all are answered; firmware then goes on to the next
entry of its own list, and another boot server of the site is not in our way nor we in its. The architectures are those
of RFC 4578 section 2.1 and its registry: 0 a BIOS, 7 and 9 UEFI on x64, 16 UEFI on x64 by HTTP.
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from broadcaster.netboot.config import AddressRange, Dhcp
from broadcaster.netboot.handouts import KNOWN

LOADER_LEASE: Final = 300
"""[s] of an address that only loaders use: until kernel and initrd are there; the system asks the site's own server."""

ROOM_LEASE: Final = 3600
"""[s] of an address in a closed room: longer than a cast, so that none is renewed under it."""

MOST_LEASES: Final = 4096
"""[leases] at a time; stops a flood of made-up addresses from filling memory"""

_OURS_FIRST: Final = 10
"""iPXE's priority of an offer (-128 to 127, 0 of servers that name none): ours over that of the site's own server."""

USER: Final = "nobody"


@dataclass(frozen=True, slots=True)
class DnsmasqConfig:
    """What the text is made of."""

    interface: str
    network: IPv4Interface
    """our address and network"""
    dhcp: Dhcp
    addresses: AddressRange | None
    folder: Path
    """private, with tftp/ and machines inside"""
    port: int
    """of HTTP"""
    signed: bool
    """UEFI starts shim and GRUB rather than iPXE"""
    answers_all: bool
    """machines without an order too"""

    def text(self) -> str:
        """The file."""
        lines = [*self._base(), *self._tags(), *self._answers(), *self._boot()]
        return "".join(f"{line}\n" for line in lines)

    def _base(self) -> list[str]:
        return [
            "port=0",
            "pid-file=",
            f"user={USER}",
            "log-facility=-",
            f"interface={self.interface}",
            "except-interface=lo",
            "bind-interfaces",
            f"dhcp-leasefile={self.folder / 'leases'}",
            f"dhcp-lease-max={MOST_LEASES}",
            f"dhcp-hostsfile={self.folder / 'machines'}",
            "enable-tftp",
            f"tftp-root={self.folder / 'tftp'}",
        ]

    def _tags(self) -> list[str]:
        tags = [
            "dhcp-match=set:ipxe,175",
            "dhcp-vendorclass=set:pxe,PXEClient",
            "dhcp-vendorclass=set:bios,PXEClient:Arch:00000",
            "dhcp-vendorclass=set:uefi,PXEClient:Arch:00007",
            "dhcp-vendorclass=set:uefi,PXEClient:Arch:00009",
        ]
        if not self.signed:
            # Debian's GRUB has no module for HTTP; firmware that got this would stop in the middle.
            tags += ["dhcp-vendorclass=set:http,HTTPClient:Arch:00016", "dhcp-vendorclass=set:pxe,HTTPClient"]
        if self.answers_all:
            tags.append(f"dhcp-mac=set:{KNOWN},*:*:*:*:*:*")
        return tags

    def _answers(self) -> list[str]:
        """Who is answered at all, with which addresses."""
        if self.dhcp is Dhcp.PROXY:
            network = self.network.network
            return [
                f"dhcp-range={network.network_address},proxy,{network.netmask}",
                "dhcp-pxe-vendor=PXEClient,HTTPClient",
                f"dhcp-ignore=tag:!{KNOWN}",
            ]
        assert self.addresses is not None
        span = f"{self.addresses.first},{self.addresses.last},{self.network.netmask}"
        if self.dhcp is Dhcp.FULL:
            # We lead nowhere else, so nobody is told that we do.
            return [f"dhcp-range={span},{ROOM_LEASE}", "dhcp-authoritative", "dhcp-option=option:router"]
        return [
            f"dhcp-range={span},{LOADER_LEASE}",
            f"dhcp-ignore=tag:!{KNOWN}",
            "dhcp-ignore=tag:!pxe",
            # The three seconds of a ping would let the site's own server be chosen, which names no loader.
            "no-ping",
            "dhcp-option=option:router",
        ]

    def _boot(self) -> list[str]:
        """What each kind of loader is told to load."""
        here = f",,{self.network.ip}"  # iPXE takes a file's name only beside a server's address
        uefi = "shimx64.efi" if self.signed else "ipxe.efi"
        known = f"tag:{KNOWN}"
        lines = [
            f"dhcp-boot={known},tag:ipxe,boot.ipxe{here}",
            # In what only iPXE reads: this offer before others, and no waiting for a proxy.
            f"dhcp-option-force=tag:ipxe,encap:175,1,{_OURS_FIRST}b" if self.dhcp is not Dhcp.PROXY else "",
            "dhcp-option-force=tag:ipxe,encap:175,176,1b" if self.dhcp is not Dhcp.PROXY else "",
        ]
        if not self.signed:
            lines += [
                f"dhcp-boot={known},tag:http,tag:!ipxe,http://{self.network.ip}:{self.port}/ipxe.efi",
                "dhcp-option-force=tag:http,option:vendor-class,HTTPClient",
            ]
        if self.dhcp is Dhcp.PROXY:
            lines += [
                f'pxe-service={known},tag:!ipxe,x86PC,"slatecast",undionly.kpxe',
                f'pxe-service={known},tag:!ipxe,X86-64_EFI,"slatecast",{uefi}',
                f'pxe-service={known},tag:!ipxe,BC_EFI,"slatecast",{uefi}',
            ]
        else:
            lines += [
                f"dhcp-boot={known},tag:bios,tag:!ipxe,undionly.kpxe{here}",
                f"dhcp-boot={known},tag:uefi,tag:!ipxe,{uefi}{here}",
            ]
        return [line for line in lines if line]
