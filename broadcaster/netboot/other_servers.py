"""Finds out who else answers PCs that start from the network: a forgotten boot server, or DHCP in a closed room.

It asks as firmware does, for an address and where to boot from, and listens who answers; it takes no address. Our own
dnsmasq does not hear it, for what a machine sends does not come back to it. pyroute2 writes and reads the messages;
what it cannot read is nobody's answer.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from secrets import randbits
from typing import Any, Final

from pyroute2.dhcp.dhcp4socket import AsyncDHCP4Socket
from pyroute2.dhcp.enums.dhcp import MessageType, Option
from pyroute2.dhcp.messages import ReceivedDHCPMessage, SentDHCPMessage, discover

from broadcaster.netboot.config import Dhcp

LISTEN_SECONDS: Final = 8.0
"""[s] after a question; a server that pings an address before it offers it takes three, a busy one longer"""

ASK_AGAIN_SECONDS: Final = 600.0
"""[s] between questions: a server that somebody plugged in is told before the next lesson"""

MOST_ANSWERS: Final = 64
"""[answers] that are read after one question; stops a flood of them"""

MOST_TOLD: Final = 32
"""[servers] that are remembered as told; stops one that changes its address from filling the log"""

_FIRMWARE: Final = "PXEClient:Arch:00000:UNDI:002001"
"""RFC 4578: a PC with a BIOS"""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OtherServer:
    """One that answered."""

    address: str
    gives_addresses: bool
    says_where_to_boot: bool


class OtherServers:
    """Asks again and again while ``watch`` runs, and tells each server once.

    Args:
        interface: name.
        dhcp: who is to give addresses here.
        tell: takes a line for operators.
    """

    def __init__(self, interface: str, dhcp: Dhcp, tell: Callable[[str], object]) -> None:
        self._interface = interface
        self._dhcp = dhcp
        self._tell = tell
        self._told: set[str] = set()

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                found = await ask(self._interface)
            except OSError as error:
                _logger.warning("%s: other DHCP servers cannot be looked for: %s", self._interface, error)
            else:
                self.judge(found)
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    def judge(self, found: list[OtherServer]) -> None:
        """Tell what is wrong with those who answered."""
        for server in found:
            if server.says_where_to_boot:
                self._tell_once(
                    f"{server.address} also tells PCs where to boot from: some will start something else; "
                    "switch it off there, or leave this network to it"
                )
            elif server.gives_addresses and self._dhcp is Dhcp.FULL:
                self._tell_once(
                    f"{server.address} gives addresses here too: choose dhcp 'proxy' or 'reserved' beside it, "
                    "or switch it off"
                )
        if self._dhcp is not Dhcp.FULL and not any(server.gives_addresses for server in found):
            self._tell_once(
                "no DHCP server of the site answers here: PCs get no address and boot their own disks; "
                "choose dhcp 'full' in a closed room"
            )

    def _tell_once(self, text: str) -> None:
        if text not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(text)
            self._tell(text)


async def ask(interface: str, listen_seconds: float = LISTEN_SECONDS) -> list[OtherServer]:
    """Who answers a PC on this interface, by address.

    Raises:
        OSError: the interface cannot be listened on.
    """
    found: dict[str, OtherServer] = {}
    question = _question()
    async with AsyncDHCP4Socket(ifname=interface) as sock:
        await sock.put(question)
        try:
            async with asyncio.timeout(listen_seconds):
                for _ in range(MOST_ANSWERS):
                    answer = await _next(sock)
                    if answer is not None and answer.dhcp["xid"] == question.dhcp["xid"]:
                        server = _server(answer)
                        before = found.get(server.address, server)
                        found[server.address] = OtherServer(
                            server.address,
                            server.gives_addresses or before.gives_addresses,
                            server.says_where_to_boot or before.says_where_to_boot,
                        )
        except TimeoutError:
            pass
    return [found[address] for address in sorted(found)]


def _question() -> SentDHCPMessage:
    question = discover([Option.SUBNET_MASK, Option.ROUTER, Option.BOOTFILE_NAME, Option.VENDOR_ID])
    question.dhcp["xid"] = randbits(32)
    question.dhcp["options"]["vendor_id"] = _FIRMWARE.encode()
    return question


async def _next(sock: AsyncDHCP4Socket) -> ReceivedDHCPMessage | None:
    """The next answer; None for one that cannot be read."""
    try:
        answer: ReceivedDHCPMessage = await sock.get()
        is_offer = answer.dhcp["options"].get("message_type") == MessageType.OFFER
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error):  # whatever a stranger sends
        return None
    return answer if is_offer else None


def _server(answer: ReceivedDHCPMessage) -> OtherServer:
    options: dict[str, Any] = answer.dhcp["options"]
    file = bytes(answer.dhcp["file"] or b"").rstrip(b"\0")
    vendor = str(options.get("vendor_id", ""))
    return OtherServer(
        str(IPv4Address(answer.ip_src)),
        gives_addresses=answer.dhcp["yiaddr"] not in (None, "0.0.0.0"),
        says_where_to_boot=bool(file) or "bootfile_name" in options or "PXEClient" in vendor,
    )
