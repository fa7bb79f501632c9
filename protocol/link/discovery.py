"""Finding the broadcaster by multicast DNS (RFC 6762, RFC 6763), so that a receiver needs no address to be typed.

The broadcaster advertises where its front door is, on one interface; a receiver asks on one interface. An answer is
a hint from the network and nothing more: whoever answers can refuse service, not change what is written. Two answers
are not chosen between: the operator does that.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from protocol.errors import ConfigError, TransportError
from protocol.link.interfaces import InterfaceInfo

SERVICE_TYPE: Final = "_slatecast._tcp.local."

SETTLING: Final = 0.5
"""[seconds] waited for a second answer after the first: RFC 6762 section 6 lets answers be up to 0.12 s apart."""

MAX_INSTANCE_LENGTH: Final = 63
"""[bytes] of the name before the service type (RFC 1035 section 2.3.4)."""


@asynccontextmanager
async def advertise(
    interface: InterfaceInfo, port: int, properties: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Answer those who look for a broadcaster on ``interface``, with its address and the front door's ``port``.

    Raises:
        TransportError: the interface takes no multicast DNS.
    """
    # A name of its own per process: several broadcasters of one machine must not deny each other the name.
    token = secrets.token_hex(4)
    host = socket.gethostname().partition(".")[0]
    instance = f"{host} {token}".encode()[-MAX_INSTANCE_LENGTH:].decode(errors="ignore")
    info = AsyncServiceInfo(
        SERVICE_TYPE,
        f"{instance}.{SERVICE_TYPE}",
        port=port,
        properties=dict(properties or {}),
        server=f"slatecast-{token}.local.",
        parsed_addresses=[interface.ipv4 or interface.ipv6 or ""],
    )
    async with _responder(interface) as responder:
        # The name is random, so probing for its owner (0.5 s, RFC 6762 section 8.1) is skipped.
        announcing = asyncio.ensure_future(await responder.async_register_service(info, cooperating_responders=True))
        try:
            yield
        finally:
            announcing.cancel()
            await (await responder.async_unregister_service(info))


async def find_broadcaster(wait: float, interface: InterfaceInfo | None = None) -> tuple[str, int]:
    """Host and port of the front door of the only broadcaster that answers within ``wait`` seconds.

    Asks on ``interface``, or on every interface that has an IPv4 address.

    Raises:
        TransportError: nobody answers, or the interface takes no multicast DNS.
        ConfigError: several answer.
    """
    names: asyncio.Queue[str] = asyncio.Queue()

    def notice(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            names.put_nowait(name)

    found: dict[tuple[str, int], str] = {}
    async with (
        _responder(interface) as responder,
        AsyncServiceBrowser(responder.zeroconf, SERVICE_TYPE, handlers=[notice]),
    ):
        deadline = asyncio.get_running_loop().time() + wait
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    name = await names.get()
                    place = await _resolve(responder.zeroconf, name, wait)
                if place is not None and place not in found:
                    found[place] = name.removesuffix(f".{SERVICE_TYPE}")
                    deadline = min(deadline, asyncio.get_running_loop().time() + SETTLING)
        except TimeoutError:
            pass
    if not found:
        raise TransportError(
            f"no broadcaster answers on {_name(interface)}: start one there, or name it with --server HOST[:PORT]"
        )
    if len(found) > 1:
        there = ", ".join(f"{host}:{port} ({name})" for (host, port), name in sorted(found.items()))
        raise ConfigError(f"several broadcasters answer on {_name(interface)}: choose with --server one of {there}")
    return next(iter(found))


async def _resolve(zeroconf: Zeroconf, name: str, wait: float) -> tuple[str, int] | None:
    info = AsyncServiceInfo(SERVICE_TYPE, name)
    if not await info.async_request(zeroconf, timeout=wait * 1000):
        return None
    addresses = info.parsed_scoped_addresses()
    return (addresses[0], info.port) if addresses and info.port else None


@asynccontextmanager
async def _responder(interface: InterfaceInfo | None) -> AsyncIterator[AsyncZeroconf]:
    choice: InterfaceChoice | list[str | int] = InterfaceChoice.All
    if interface is not None:
        choice = [interface.index if interface.ipv4 is None else interface.ipv4]
    try:
        responder = AsyncZeroconf(interfaces=choice)
    except (OSError, RuntimeError) as error:
        raise TransportError(
            f"{_name(interface)} takes no multicast DNS ({error}): name the broadcaster with --server HOST[:PORT]"
        ) from None
    try:
        yield responder
    finally:
        await responder.async_close()


def _name(interface: InterfaceInfo | None) -> str:
    return "any interface" if interface is None else f"interface {interface.name}"
