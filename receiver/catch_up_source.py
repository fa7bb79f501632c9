"""Fetches single blocks from a broadcaster's catch-up lane by HTTPS.

The url comes from a message of any origin and the answers from any host, so both are held to what they may be: one host
by its address, no redirect, no proxy, no more bytes than the symbols asked for have, and an end to all waiting. What
arrives is sealed datagrams, which the receiver opens and checks like those of the group, or digests of symbols, which
are a hint; nothing here looks inside.
"""

import asyncio
import random
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp

from protocol.catch_up import BlockAddress, LaneAddress
from protocol.errors import MessageError, TransportError
from protocol.symbol_digests import SYMBOL_DIGEST_LENGTH
from protocol.wire import HEADER_LENGTH, MAX_SOURCE_BLOCK_LENGTH, TAG_LENGTH
from receiver.catch_up import FETCHES
from receiver.http_session import strict_session

CONNECT_TIMEOUT: Final = 5.0
"""[s] A broadcaster on the LAN that takes longer to accept a connection is as good as gone."""

READ_TIMEOUT: Final = 20.0
"""[s] Longest pause in an answer: sixty rounds in which 64 addresses take turns of 5 ms."""

FETCH_TIMEOUT: Final = 120.0
"""[s] For one block in all: 64 blocks at once by a lane of 2 Mbit/s; ends answers that dribble."""

REUSE_SECONDS: Final = 10.0
"""[s] How long an idle connection is kept: less than the broadcaster's 30, so that it is not the one to hang up."""

BUSY_TRIES: Final = 10
"""How often a busy lane is asked again before that counts as a failure."""

SHORTEST_RETRY_AFTER: Final = 0.2
"""[s] Stops a host that says 0 from making us ask without pause."""

LONGEST_RETRY_AFTER: Final = 5.0
"""[s] Stops a host from sending us away for long."""

_OK: Final = 200
_GONE: Final = 410
_BUSY: Final = 503


@dataclass(frozen=True, slots=True)
class _Busy:
    """The lane wants to be asked again."""

    retry_after: float


class CatchUpSource:
    """The catch-up lane of one session, while entered."""

    def __init__(self, url: str, tsi: str, encoding_symbol_length: int, tls: ssl.SSLContext | None) -> None:
        """Take url and tsi of an announcement, the bytes of its symbols, and whom to believe; None for plain HTTP.

        Raises:
            MessageError: the url is not https://address:port of one host, or http:// without ``tls``.
        """
        self._lane = LaneAddress.parse(url)
        if self._lane.is_secure is not (tls is not None):
            raise MessageError(f"catch-up url {self._lane} is {'without' if tls is not None else 'with'} TLS")
        self._tls = tls
        self._tsi = tsi
        self._datagram_length = HEADER_LENGTH + encoding_symbol_length + TAG_LENGTH
        self.bytes_received = 0
        """bytes of bodies, those of failed fetches too"""

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        self._http = strict_session(
            aiohttp.TCPConnector(limit=FETCHES, keepalive_timeout=REUSE_SECONDS, ssl=self._tls or True),
            aiohttp.ClientTimeout(total=FETCH_TIMEOUT, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        await self._http.close()

    async def fetch(self, toi: int, sbn: int, esis: range | None = None) -> bytes | None:
        """The sealed datagrams of these symbols, of all source symbols with None, one after the other.

        Each is header, ``encoding_symbol_length`` bytes and tag; only the last may be shorter. They are as the host
        sent them: open them before you believe them. None when the block is damaged in the broadcaster's library.

        Raises:
            TransportError: the lane cannot be reached, is busy for long, does not have the block, or answers nonsense.
        """
        return await self._ask(BlockAddress(self._tsi, toi, sbn, esis))

    async def fetch_digests(self, toi: int, sbn: int, esis: range) -> bytes | None:
        """What these symbols must hash to (``protocol.symbol_digests``); otherwise as ``fetch``.

        Believe it as a hint: the digest of the block decides.
        """
        return await self._ask(BlockAddress(self._tsi, toi, sbn, esis, asks_digests=True))

    async def _ask(self, asked: BlockAddress) -> bytes | None:
        for _ in range(BUSY_TRIES):
            answer = await self._get(asked)
            if not isinstance(answer, _Busy):
                return answer
            # Spread, or all that were refused together would come again together.
            await asyncio.sleep(answer.retry_after * random.uniform(0.5, 1.5))
        raise self._failure(f"is busy: {BUSY_TRIES} requests in a row were put off")

    async def _get(self, asked: BlockAddress) -> bytes | _Busy | None:
        path = str(asked)
        try:
            async with self._http.get(f"{self._lane}{path}", allow_redirects=False) as response:
                if response.status == _OK:
                    return await self._read(response, asked)
                if response.status == _GONE:
                    return None
                if response.status == _BUSY:
                    return _Busy(_retry_after(response.headers.get("Retry-After", "")))
                raise self._failure(f"answers {response.status} for {path}")
        except aiohttp.ClientConnectorCertificateError as error:
            raise self._failure("shows a certificate that is not trusted") from error
        except aiohttp.ClientConnectorError as error:
            raise self._failure(f"cannot be reached ({error.os_error.strerror})") from error
        except TimeoutError as error:
            raise self._failure("does not answer in time") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            # In TLS 1.3 a certificate is refused after the handshake, and often without a word.
            doubt = ", maybe for our certificate" if self._tls is not None and not self.bytes_received else ""
            raise self._failure(f"has ended the connection{doubt}") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise self._failure("answers no proper HTTP") from error

    async def _read(self, response: aiohttp.ClientResponse, asked: BlockAddress) -> bytes:
        """The body, once its announced length is one that these symbols, or their digests, can have."""
        length = response.content_length
        most = MAX_SOURCE_BLOCK_LENGTH if asked.esis is None else len(asked.esis)
        if asked.asks_digests:
            is_fit = length == most * SYMBOL_DIGEST_LENGTH
        else:
            is_fit = length is not None and self._can_be(length, most, is_exact=asked.esis is not None)
        if not is_fit:
            raise self._failure(
                f"answers {'without length' if length is None else f'{length} bytes'} for {most} symbols"
            )
        parts: list[bytes] = []
        async for part in response.content.iter_any():
            self.bytes_received += len(part)
            parts.append(part)
        return b"".join(parts)

    def _can_be(self, length: int, most: int, *, is_exact: bool) -> bool:
        """Whether so many bytes are whole datagrams, but for the last, which may be shorter but holds something."""
        count = -(-length // self._datagram_length)
        last = length - (count - 1) * self._datagram_length
        return (count == most if is_exact else 1 <= count <= most) and last > HEADER_LENGTH + TAG_LENGTH

    def _failure(self, what: str) -> TransportError:
        return TransportError(f"catch-up lane {self._lane} {what}")


def _retry_after(text: str) -> float:
    """Seconds that a host asks us to wait, within bounds; it may say anything."""
    seconds = float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else LONGEST_RETRY_AFTER
    return min(max(seconds, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)
