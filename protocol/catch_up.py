"""The catch-up lane's HTTP addresses: where a broadcaster serves single blocks, and what a receiver may ask for there.

    https://{ip}:{port}/v1/sessions/{tsi}/objects/{toi}/blocks/{sbn}[?first_esi={esi}&count={count}]
    .../blocks/{sbn}/symbol-digests[?first_esi={esi}&count={count}]

The answer's body is the sealed datagrams of those symbols, one after the other, each header, symbol and tag as they
would travel to the group; without a query all source symbols. With ``/symbol-digests`` it is the digests of those
symbols (``protocol.symbol_digests``) instead, of both kinds if need be. Both ends read what anybody may have written,
so an address has no names, credentials or escapes, and its numbers no leading zeros. Without TLS, which only tests
are, the scheme is http.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from protocol import PROTOCOL_VERSION
from protocol.errors import MessageError
from protocol.wire import MAX_ENCODING_SYMBOLS, TOI_DISK

_URL: Final = re.compile(r"(https?)://(?:([0-9.]{7,15})|\[([0-9A-Fa-f:.]{2,45})\]):([1-9][0-9]{0,4})/?")
_NUMBER: Final = "(0|[1-9][0-9]{0,9})"
_PATH: Final = re.compile(
    rf"/v{PROTOCOL_VERSION}/sessions/([0-9a-f]{{16}})/objects/{_NUMBER}/blocks/{_NUMBER}(/symbol-digests)?(?:\?(.*))?",
    re.DOTALL,
)
_QUERY: Final = re.compile(f"first_esi={_NUMBER}&count={_NUMBER}")


class LaneAddress(NamedTuple):
    """Where a catch-up lane is."""

    host: IPv4Address | IPv6Address
    port: int
    is_secure: bool = True
    """HTTPS; plain HTTP is for tests"""

    def __str__(self) -> str:
        """The url as an announcement carries it."""
        host = f"[{self.host}]" if self.host.version == 6 else self.host
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "LaneAddress":
        """Read a url of any origin.

        Raises:
            MessageError: not HTTP to the address and port of one host, or more than that.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise MessageError(f"catch-up url {_shown(url)} is not https://address:port of one host")
        scheme, ipv4, ipv6, port = match.groups()
        try:
            host = IPv4Address(ipv4) if ipv4 else IPv6Address(ipv6)
        except ValueError:
            raise MessageError(f"catch-up url {_shown(url)} holds no IP address") from None
        if (
            host.is_multicast
            or host.is_unspecified
            or host == IPv4Address("255.255.255.255")
            or (isinstance(host, IPv6Address) and host.is_link_local)
        ):
            # A link-local IPv6 address means nothing without the zone, which is another one on each machine.
            raise MessageError(f"catch-up url {_shown(url)} is not the address of one host")
        if int(port) > 0xFFFF:
            raise MessageError(f"catch-up url {_shown(url)} has a port outside 1 to 65535")
        return cls(host, int(port), scheme == "https")


class BlockAddress(NamedTuple):
    """Which symbols of which block."""

    tsi: str
    toi: int
    sbn: int
    esis: range | None
    """None asks for all source symbols"""
    asks_digests: bool = False
    """of what these symbols must hash to, not of themselves"""

    def __str__(self) -> str:
        """The path and query of a request."""
        digests = "/symbol-digests" if self.asks_digests else ""
        query = "" if self.esis is None else f"?first_esi={self.esis.start}&count={len(self.esis)}"
        return f"/v{PROTOCOL_VERSION}/sessions/{self.tsi}/objects/{self.toi}/blocks/{self.sbn}{digests}{query}"

    @classmethod
    def parse(cls, path: str) -> "BlockAddress | None":
        """Read path and query of any origin; None where there is nothing of this form.

        Raises:
            MessageError: the query is not two numbers that name symbols of a block.
        """
        match = _PATH.fullmatch(path)
        if match is None or int(match[2]) > TOI_DISK or int(match[3]) >= 1 << 32:
            return None
        esis = None if match[5] is None else _parse_query(match[5])
        return cls(match[1], int(match[2]), int(match[3]), esis, match[4] is not None)


def _parse_query(query: str) -> range:
    match = _QUERY.fullmatch(query)
    if match is None:
        raise MessageError("the query is not first_esi=N&count=M")
    first, count = int(match[1]), int(match[2])
    if count < 1 or first + count > MAX_ENCODING_SYMBOLS:
        raise MessageError(f"no block has {count} symbols from esi {first} on")
    return range(first, first + count)


def _shown(text: str) -> str:
    """Fit for one line of a log, whoever wrote it."""
    return repr(text[:64])
