"""dnsmasq's configuration: DHCP and TFTP for PCs that start from the network, on one interface, no DNS.

Machines of no room of ours get no answer as to what to boot, unless all are answered; firmware then goes on to the next
entry of its own list, and another boot server of the site is not in our way nor we in its. Those of our rooms that have
no order are sent to their own disks: firmware would wait a minute and more for each entry. The architectures are those
of RFC 4578 section 2.1 and its registry: 0 a BIOS, 7 and 9 UEFI on x64, 16 UEFI on x64 by HTTP.
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from broadcaster.netboot.config import AddressRange, Dhcp
from broadcaster.netboot.handouts import ANSWERED, ORDERED
from broadcaster.netboot.scripts import DISK_LOADER

LOADER_LEASE: Final = 300
"""[s] of an address that only loaders use: until kernel and initrd are there; the system asks the site's own server."""

ROOM_LEASE: Final = 3600
"""[s] of an address in a closed room: longer than a cast, so that none is renewed under it."""

MOST_LEASES: Final = 4096
"""[leases] at a time; stops a flood of made-up addresses from filling memory"""

_OURS_FIRST: Final = 10
"""iPXE's priority of an offer (-128 to 127, 0 of servers that name none): ours over that of the site's own server."""

USER: Final = "nobody"

_SYSTEMS: Final = {"bios": ("x86PC",), "uefi": ("X86-64_EFI", "BC_EFI")}
"""dnsmasq's words for the architectures 0, 9 and 7, where it is a proxy"""


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
    has_disk_loader: bool
    """for UEFI that checks no signatures"""
    answers_all: bool
    """strangers too"""
    everyone: bool
    """as if each machine had an order"""

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
            tags.append(f"dhcp-mac=set:{ANSWERED},*:*:*:*:*:*")
        if self.everyone:
            tags.append(f"dhcp-mac=set:{ORDERED},*:*:*:*:*:*")
        if not self.signed and not self.has_disk_loader:
            # iPXE, ending, does not always get back to the firmware.
            tags += [f"dhcp-ignore=tag:{kind},tag:!{ORDERED}" for kind in ("uefi", "http")]
        return tags

    def _answers(self) -> list[str]:
        """Who is answered at all, with which addresses."""
        if self.dhcp is Dhcp.PROXY:
            network = self.network.network
            return [
                f"dhcp-range={network.network_address},proxy,{network.netmask}",
                "dhcp-pxe-vendor=PXEClient,HTTPClient",
                f"dhcp-ignore=tag:!{ANSWERED}",
            ]
        assert self.addresses is not None
        span = f"{self.addresses.first},{self.addresses.last},{self.network.netmask}"
        if self.dhcp is Dhcp.FULL:
            # We lead nowhere else, so nobody is told that we do.
            return [f"dhcp-range={span},{ROOM_LEASE}", "dhcp-authoritative", "dhcp-option=option:router"]
        return [
            f"dhcp-range={span},{LOADER_LEASE}",
            f"dhcp-ignore=tag:!{ANSWERED}",
            "dhcp-ignore=tag:!pxe",
            # The three seconds of a ping would let the site's own server be chosen, which names no loader.
            "no-ping",
            "dhcp-option=option:router",
        ]

    def _boot(self) -> list[str]:
        """What each kind of loader is told to load."""
        here = f",,{self.network.ip}"  # iPXE takes a file's name only beside a server's address
        lines = [f"dhcp-boot=tag:{ANSWERED},tag:ipxe,boot.ipxe{here}"]
        if self.dhcp is not Dhcp.PROXY:
            lines += [
                # In what only iPXE reads: this offer before others, and no waiting for a proxy.
                f"dhcp-option-force=tag:ipxe,encap:175,1,{_OURS_FIRST}b",
                "dhcp-option-force=tag:ipxe,encap:175,176,1b",
            ]
        if not self.signed:
            lines.append("dhcp-option-force=tag:http,option:vendor-class,HTTPClient")
        for kind, who, loader in self._loaders():
            tags = f"tag:{ANSWERED}{who},tag:!ipxe"
            if kind == "http":
                lines.append(f"dhcp-boot={tags},tag:http,http://{self.network.ip}:{self.port}/{loader}")
            elif self.dhcp is Dhcp.PROXY:
                lines += [f'pxe-service={tags},{system},"slatecast",{loader}' for system in _SYSTEMS[kind]]
            else:
                lines.append(f"dhcp-boot={tags},tag:{kind},{loader}{here}")
        return lines

    def _loaders(self) -> list[tuple[str, str, str]]:
        """Kind of firmware, tag of machines, and what firmware loads."""
        loaders = [("bios", "", "undionly.kpxe")]
        if self.signed:
            return [*loaders, ("uefi", "", "shimx64.efi")]
        for kind in ("uefi", "http"):
            loaders.append((kind, f",tag:{ORDERED}", "ipxe.efi"))
            if self.has_disk_loader:
                loaders.append((kind, f",tag:!{ORDERED}", DISK_LOADER))
        return loaders
