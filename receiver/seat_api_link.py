"""The seat API as a receiver asks it: one method for each call of ``protocol.seat_api`` and ``protocol.capture``.

Everything goes to the one address that came with the enrolment, and is believed because the connection is: mutual TLS
by the broadcaster's authority. Answers are still held to their bounds. Nothing is asked twice here: what may help when
it is asked again is a TransportError, whatever would be the same again is another error.
"""

import asyncio
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import aiohttp
import msgspec
from blake3 import blake3

from protocol.capture import (
    CAPTURES_PATH,
    MAX_LACKING_DIGESTS,
    CaptureAddress,
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureWish,
    decode_lacking,
)
from protocol.errors import ConfigError, IntegrityError, LibraryError, MessageError, RefusedError, TransportError
from protocol.fields import printable
from protocol.seat_api import (
    MAX_API_BODY,
    RESTORES_PATH,
    WORK_PATH,
    RestoreAnswer,
    RestoreWish,
    SessionAddress,
    Work,
    decode_api,
)
from receiver.http_session import strict_session

CONNECT_TIMEOUT: Final = 5.0
"""[s] A broadcaster on the LAN that takes longer to accept a connection is as good as gone."""

ANSWER_TIMEOUT: Final = 60.0
"""[s] Longest pause in an answer: the library may be writing what it was sent to a slow disk."""

CLOSING_TIMEOUT: Final = 600.0
"""[s] For the call that ends a capture: the broadcaster looks for every chunk of the disk before it answers."""

CONNECTIONS: Final = 4
"""[connections] at once: a capture asks, sends and tells how far it is; who looks for work is beside it."""

REUSE_SECONDS: Final = 10.0
"""[s] How long an idle connection is kept: less than the broadcaster's, so that it is not the one to hang up."""

MAX_CONFIGURATION: Final = 4 << 20
"""[bytes] of one seat's configuration; scripts and templates may be in it, drivers are files of their own."""

MAX_FILE: Final = 8 << 30
"""[bytes] of one file that a configuration names: a machine's drivers have hundreds of MB."""

_MAX_COMPLAINT: Final = 4096
_FILE_MODE: Final = 0o600
_JSON: Final = {"Content-Type": "application/json"}
_BYTES: Final = {"Content-Type": "application/octet-stream"}
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a broadcaster that is busy, is starting, or has stumbled: the next answer may be another."""


class SeatApiLink:
    """The seat API of one broadcaster, while entered.

    All methods raise TransportError where nobody answers or asking again may help, LibraryError where the library is
    full, RefusedError where the broadcaster says no, and MessageError where it answers what no broadcaster does.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        """Take the url of the enrolment and whom to believe; without ``tls``, as tests are, it must be http.

        Raises:
            ConfigError: the broadcaster has no seat API, or one without TLS.
        """
        if not url:
            raise ConfigError("this broadcaster serves no seat API: start it with 'slatecast serve'")
        if url.startswith("https:") is not (tls is not None):
            raise ConfigError(f"the seat API {url} is {'without' if tls is not None else 'with'} TLS")
        self._url = url.rstrip("/")
        self._tls = tls
        self.sent_bytes = 0
        """bytes of chunks that were taken"""

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        self._http = strict_session(
            aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=REUSE_SECONDS, ssl=self._tls or True),
            aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=ANSWER_TIMEOUT),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        await self._http.close()

    # --- seats -------------------------------------------------------------------------------------------------------

    async def work(self) -> Work:
        """What there is to do for this seat."""
        return decode_api(await self._get(WORK_PATH), Work)

    async def restore(self, wish: RestoreWish) -> RestoreAnswer:
        """Ask for the offered image, without an operator."""
        return decode_api(await self._post(RESTORES_PATH, msgspec.json.encode(wish)), RestoreAnswer)

    async def configuration(self, tsi: str) -> bytes | None:
        """What to do to the disk once the session has verified it; None where there is nothing to do."""
        path = str(SessionAddress(tsi=tsi, what="configuration"))
        body, status = await self._ask("GET", path, longest=MAX_CONFIGURATION, expected=(200, 204, 404))
        return body if status == 200 else None

    async def fetch_file(self, tsi: str, digest: bytes, destination: Path) -> None:
        """Put a file that the configuration names at ``destination``, which must not exist; readable by root alone.

        Raises:
            IntegrityError: what came is another file; nothing is kept.
            OSError: it cannot be written.
        """
        path = str(SessionAddress(tsi=tsi, what="files", digest=digest))
        descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        is_whole = False
        try:
            with os.fdopen(descriptor, "wb") as file:
                async with self._request("GET", path) as response:
                    await self._check(response, path, (200,))
                    await _keep_file(response, file, digest)
            is_whole = True
        finally:
            if not is_whole:
                os.unlink(destination)  # noqa: PTH108  # not blocking work worth a thread; pathlib's is taken for such

    async def report_step(self, tsi: str, body: bytes) -> None:
        """Tell how a step of the configuration ended: an encoded StepReport."""
        await self._post(str(SessionAddress(tsi=tsi, what="steps")), body)

    # --- captures ----------------------------------------------------------------------------------------------------

    async def wish_capture(self, wish: CaptureWish) -> CaptureState:
        """Ask an operator for a capture of this machine's disk."""
        return decode_api(await self._post(CAPTURES_PATH, msgspec.json.encode(wish)), CaptureState)

    async def capture_state(self, capture_id: str) -> CaptureState:
        """How far the broadcaster has it."""
        return decode_api(await self._get(str(CaptureAddress(capture_id))), CaptureState)

    async def lacking(self, capture_id: str, digests: Sequence[bytes]) -> list[bool]:
        """Of at most MAX_LACKING_DIGESTS raw digests, which chunks the library lacks."""
        path = str(CaptureAddress(capture_id, "lacking"))
        longest = MAX_LACKING_DIGESTS // 8
        body, _ = await self._ask("POST", path, b"".join(digests), longest=longest, headers=_BYTES)
        return decode_lacking(body, len(digests))

    async def send_chunks(self, capture_id: str, body: bytes) -> CaptureState:
        """Hand over framed chunks, at most MAX_CHUNKS_BODY bytes."""
        state = await self._tell(capture_id, "chunks", body, _BYTES)
        self.sent_bytes += len(body)
        return state

    async def send_disk(self, capture_id: str, body: bytes) -> CaptureState:
        """Hand over the disk's description, which ends the capture."""
        return await self._tell(capture_id, "disk", body, _BYTES, CLOSING_TIMEOUT)

    async def send_progress(self, capture_id: str, progress: CaptureProgress) -> CaptureState:
        """Tell how far it is; the answer says whether it is still wanted."""
        return await self._tell(capture_id, "progress", msgspec.json.encode(progress), _JSON)

    async def send_failure(self, capture_id: str, failure: CaptureFailure) -> CaptureState:
        """Give up."""
        return await self._tell(capture_id, "failure", msgspec.json.encode(failure), _JSON)

    async def _tell(
        self, capture_id: str, what: str, body: bytes, headers: dict[str, str], pause: float = ANSWER_TIMEOUT
    ) -> CaptureState:
        path = str(CaptureAddress(capture_id, what))
        answer, _ = await self._ask("POST", path, body, headers=headers, pause=pause)
        return decode_api(answer, CaptureState)

    # --- HTTP --------------------------------------------------------------------------------------------------------

    async def _get(self, path: str) -> bytes:
        return (await self._ask("GET", path))[0]

    async def _post(self, path: str, body: bytes) -> bytes:
        return (await self._ask("POST", path, body, headers=_JSON))[0]

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        longest: int = MAX_API_BODY,
        headers: dict[str, str] | None = None,
        expected: tuple[int, ...] = (200, 204),
        pause: float = ANSWER_TIMEOUT,
    ) -> tuple[bytes, int]:
        """Body and status of one call."""
        async with self._request(method, path, body, headers, pause) as response:
            await self._check(response, path, expected)
            answer = await _read(response, longest)
            if answer is None:
                raise MessageError(f"the broadcaster answers more than {longest} bytes for {path}")
            return answer, response.status

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        pause: float = ANSWER_TIMEOUT,
    ) -> "_Call":
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=pause)
        request = self._http.request(
            method, f"{self._url}{path}", data=body, headers=headers, timeout=timeout, allow_redirects=False
        )
        return _Call(request, self._url)

    async def _check(self, response: aiohttp.ClientResponse, path: str, expected: tuple[int, ...]) -> None:
        """Raise what a status means, in the broadcaster's own words where it gives any."""
        status = response.status
        if status in expected:
            return
        said = (await _read(response, _MAX_COMPLAINT) or b"").decode(errors="replace").strip().partition("\n")[0]
        words = printable(said)[:300]
        if status in _AGAIN:
            raise TransportError(f"the broadcaster at {self._url} is busy (it answers {status})")
        if status == 507:
            raise LibraryError(words or "the broadcaster's library is full: make room there, then capture again")
        if status in (401, 403):
            raise RefusedError(words or "the broadcaster does not know this receiver any more: start it again")
        raise RefusedError(words or f"the broadcaster answers {status} for {path}: is it of the same version?")


class _Call:
    """One request and its answer, with what goes wrong on the way put into our errors."""

    def __init__(self, request: "aiohttp.client._RequestContextManager", url: str) -> None:
        self._request = request
        self._url = url

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            return await self._request.__aenter__()
        except Exception as error:
            raise self._as_ours(error) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._request.__aexit__(kind, error, trace)
        if isinstance(error, aiohttp.ClientError | TimeoutError | ConnectionError):
            raise self._as_ours(error) from error

    def _as_ours(self, error: Exception) -> Exception:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return RefusedError(f"who answers at {self._url} is not the broadcaster that this receiver enrolled with")
        if isinstance(error, aiohttp.ClientConnectorError):
            return self._away(f"cannot be reached ({error.os_error.strerror or error.os_error})")
        if isinstance(error, TimeoutError):
            return self._away("does not answer in time")
        if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
            return self._away("has ended the connection")
        if isinstance(error, aiohttp.ClientError | ValueError):
            return MessageError(f"{self._url} answers no proper HTTP")
        return error

    def _away(self, what: str) -> TransportError:
        return TransportError(f"the broadcaster at {self._url} {what}")


async def _read(response: aiohttp.ClientResponse, longest: int) -> bytes | None:
    """The body; None if it is longer."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > longest:
            return None
    return bytes(body)


async def _keep_file(response: aiohttp.ClientResponse, file: BinaryIO, digest: bytes) -> None:
    """Write the body to ``file``, and raise IntegrityError unless it is the file of this digest."""
    hasher, length = blake3(), 0
    async for part in response.content.iter_chunked(1 << 20):
        length += len(part)
        if length > MAX_FILE:
            raise MessageError(f"the broadcaster sends a file of more than {MAX_FILE} bytes")
        hasher.update(part)
        await asyncio.to_thread(file.write, part)
    if hasher.digest() != digest:
        raise IntegrityError(f"file {digest.hex()[:16]} of the broadcaster", digest, hasher.digest())
