"""The console's REST API as commands use it: found on this machine by itself, or named; refusals become our errors.

On the machine of the console everything lies in ``console.json`` of its state folder, which only its own user and root
can read. Whatever comes from a console is checked for its types; texts in it are hostile to any display.
"""

import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

import aiohttp
import msgspec

from protocol.errors import ConfigError, MessageError, RefusedError, TransportError
from protocol.link.tls import pinned_context

HANDLE_FILE: Final = "console.json"
API_ROOT: Final = "api/v1/"

REQUEST_TIMEOUT: Final = 30.0
"""[s] for one answer: an order to a busy broadcaster is answered within 10 s or refused."""

EVENT_TIMEOUT: Final = 10.0
"""[s] without a word on a stream that speaks once a second: the console is gone."""

MAX_ANSWER: Final = 64 << 20
"""[bytes] of one answer or event: many times a session with 10,000 seats; stops a stranger from filling the memory."""

Shape = TypeVar("Shape")
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s\x00-\x1f\x7f]+\Z", max_length=300)]


class _Handle(msgspec.Struct, frozen=True):
    """What stands in ``console.json``."""

    url: Url
    token: str
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Where a console is, who is meant by it, and who we are there."""

    url: str
    token: str = field(repr=False)
    authority: bytes | None = None
    """PEM of who issued its certificate; None leaves it to the authorities that this machine trusts"""


def find_console(
    states: Sequence[Path], *, url: str | None = None, token: str | None = None, ca_file: Path | None = None
) -> ConsoleAddress:
    """The console that is named, or the one that runs here and left word in one of the state folders.

    Raises:
        ConfigError: none is named or found, or the token is missing.
    """
    if url is not None:
        try:
            url = msgspec.convert(url, Url).rstrip("/") + "/"
        except msgspec.ValidationError:
            raise ConfigError(f"--console {url!r} is no address: write https://host:8443/") from None
    handle = _read_handle(states) if url is None or token is None or ca_file is None else None
    if url is None:
        if handle is None:
            raise ConfigError("no console runs on this machine: start 'slatecast serve', or name one with --console")
        url = handle.url
    is_ours = handle is not None and handle.url == url
    if token is None and handle is not None and is_ours:
        token = handle.token
    if not token:
        raise ConfigError("a console elsewhere wants a token: put one into SLATECAST_API_TOKEN or --api-token-file")
    authority = None
    if ca_file is not None:
        authority = _read_authority(ca_file)
    elif handle is not None and is_ours and handle.certificate:
        authority = handle.certificate.encode()
    return ConsoleAddress(url, token, authority)


class ConsoleApi:
    """A connection to a console while entered."""

    def __init__(self, address: ConsoleAddress) -> None:
        self._address = address
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Prepare it; the console is called at the first request.

        Raises:
            ConfigError: the authority cannot be used.
        """
        tls: ssl.SSLContext | bool = True
        if self._address.authority is not None:
            try:
                tls = pinned_context(self._address.authority, None)
            except ValueError:
                raise ConfigError("the console's authority is no PEM certificate: give --ca-file") from None
        self._http = aiohttp.ClientSession(
            base_url=self._address.url,
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={"Authorization": f"Bearer {self._address.token}"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        await self._http.close()

    async def get(self, path: str, shape: type[Shape]) -> Shape:
        """What is at ``path`` below the API's root.

        Raises:
            RefusedError: the console refuses, and says why.
            ConfigError: what was typed cannot be.
            TransportError: it cannot be reached, or is no console.
        """
        async with self._answer("GET", path) as answer:
            return _decode(await _read(answer), shape)

    async def post(self, path: str, body: object = None, shape: type[Shape] | None = None) -> Shape | None:
        """Do something; raises as ``get``."""
        async with self._answer("POST", path, json={} if body is None else body) as answer:
            return None if shape is None else _decode(await _read(answer), shape)

    async def events(self, path: str, shape: type[Shape]) -> AsyncIterator[Shape]:
        """What is said on a stream of events, until it ends; raises as ``get``."""
        timeout = aiohttp.ClientTimeout(total=None, connect=REQUEST_TIMEOUT, sock_read=EVENT_TIMEOUT)
        async with self._answer("GET", path, timeout=timeout) as answer:
            buffer = b""
            async for data in answer.content.iter_any():
                *events, buffer = (buffer + data).split(b"\n\n")
                if len(buffer) > MAX_ANSWER:
                    raise TransportError(f"{self._address.url} sends events without an end: is it a slatecast console?")
                for event in events:
                    for line in event.splitlines():
                        if line.startswith(b"data: "):
                            yield _decode(line.removeprefix(b"data: "), shape)

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **arguments: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._http is not None
        url = self._address.url
        try:
            async with self._http.request(method, API_ROOT + path, allow_redirects=False, **arguments) as answer:
                if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                    await _refuse(url, answer)
                yield answer
        except aiohttp.ClientConnectorCertificateError:
            raise TransportError(
                f"{url} shows a certificate that is not trusted: give --ca-file, the authority.crt of its keys"
            ) from None
        except TimeoutError:
            raise TransportError(f"{url} does not answer: check host, port and firewall") from None
        except aiohttp.ClientError as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise TransportError(f"{url} cannot be reached ({reason}): does 'slatecast serve' run there?") from None


async def _refuse(url: str, answer: aiohttp.ClientResponse) -> None:
    """Raise what an answer refuses with."""
    try:
        detail = MessageError(str(msgspec.json.decode(await _read(answer))["detail"])).args[0]  # made printable
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise TransportError(f"{url} answers {answer.status} without a reason: is it a slatecast console?") from None
    if answer.status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST):
        raise ConfigError(detail)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransportError(detail)
    raise RefusedError(detail)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for part in answer.content.iter_any():
        data += part
        if len(data) > MAX_ANSWER:
            raise TransportError("the answer is too long: is it a slatecast console?")
    return bytes(data)


def _decode(data: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransportError("the console's answer makes no sense: is it of another version than this one?") from None


def _read_handle(states: Sequence[Path]) -> _Handle | None:
    for state in states:
        path = state / HANDLE_FILE
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}: run this as the user of the console") from None
        try:
            return msgspec.json.decode(data, type=_Handle)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(f"{path} is damaged: start 'slatecast serve' again") from None
    return None


def _read_authority(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"--ca-file {file}: {error.strerror or error}") from None


def environment_token() -> str | None:
    """The token in SLATECAST_API_TOKEN, which nothing that we start inherits."""
    return os.environ.pop("SLATECAST_API_TOKEN", None)
