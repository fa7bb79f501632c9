"""The HTTPS requests of an enrolment, to whoever answers: bounded answers, no redirect, no proxy, one certificate.

Which certificate answered is recorded from the connection that carried the answer, because the transcript holds it; an
answer over another certificate than the first one's counts as no answer of this exchange. Nothing else is checked
here: what the answers say is proved by ``receiver.enrolment``.
"""

import hashlib
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from protocol.enrolment import ENROLMENT_PATH, MAX_ANSWER_LENGTH, confirm_path
from protocol.errors import ConfigError, RefusedError, TransportError
from protocol.link.tls import unproved_context
from receiver.http_session import strict_session

CONNECT_TIMEOUT: Final = 5.0
"""[s] A broadcaster on the LAN that takes longer to accept a connection is as good as gone."""

ANSWER_TIMEOUT: Final = 30.0
"""[s] For one request in all: the tokens of a room of 60 that is switched on together take a broadcaster 1 s."""

_OK: Final = 200
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_GONE: Final = 410
_BUSY: Final = 503

_NOT_IN_HOSTS: Final = frozenset(" /\\@?#")


class _Response(aiohttp.ClientResponse):
    """Knows the certificate of the connection that it comes over, which is given back before anybody could ask."""

    leaf_digest: bytes | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self.leaf_digest = None if certificate is None else hashlib.sha256(certificate).digest()
        return await super().start(connection)


class EnrolmentLink:
    """Speaks to the front door at one address while entered."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address as the operator or multicast DNS gave it.

        Raises:
            ConfigError: it is none.
        """
        self.place: Final = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        """for people"""
        if not host or not set(host).isdisjoint(_NOT_IN_HOSTS) or not host.isprintable() or not 1 <= port <= 0xFFFF:
            raise self._no_address()
        try:
            self._url = URL.build(scheme="https", host=host, port=port)
        except ValueError:
            raise self._no_address() from None
        self._leaf_digest: bytes | None = None

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        self._http = strict_session(
            aiohttp.TCPConnector(limit=1, ssl=unproved_context()),
            aiohttp.ClientTimeout(total=ANSWER_TIMEOUT, sock_connect=CONNECT_TIMEOUT),
            headers={"Content-Type": "application/json"},
            response_class=_Response,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        await self._http.close()

    @property
    def leaf_digest(self) -> bytes:
        """SHA-256 of the one certificate that answered; there is one after the first answer."""
        return self._leaf_digest or b""

    async def hello(self, body: bytes) -> bytes:
        """The answer to a Hello, at most MAX_ANSWER_LENGTH bytes of any content.

        Raises:
            RefusedError: whoever listens there is no front door of a broadcaster.
            TransportError: nobody answers, or it is busy: try again.
        """
        answer = await self._post(ENROLMENT_PATH, body)
        if answer is None:
            raise self.stranger("answers what no broadcaster does")
        return answer

    async def confirm(self, receiver_id: str, body: bytes) -> bytes | None:
        """The answer to a Confirm, as above; None when whoever answers knows nothing of its Hello.

        Raises:
            RefusedError: as above, or the broadcaster saw another exchange than we did.
            TransportError: as above.
        """
        return await self._post(confirm_path(receiver_id), body)

    async def _post(self, path: str, body: bytes) -> bytes | None:
        try:
            async with self._http.post(self._url.with_path(path), data=body, allow_redirects=False) as response:
                return await self._answer(response) if self._is_same_leaf(response) else None
        except aiohttp.ClientConnectorSSLError as error:
            raise self.stranger("speaks no TLS that we understand") from error
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or str(error.os_error)
            raise self._away(f"cannot be reached ({reason}): is 'slatecast cast' running there?") from error
        except TimeoutError as error:
            raise self._away("does not answer in time") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise self._away("has ended the connection") from error
        except aiohttp.InvalidURL as error:
            raise self._no_address() from error
        except (aiohttp.ClientError, ValueError) as error:
            raise self.stranger("answers no proper HTTP") from error

    def _is_same_leaf(self, response: aiohttp.ClientResponse) -> bool:
        leaf_digest = response.leaf_digest if isinstance(response, _Response) else None
        if leaf_digest is None:
            raise self.stranger("has no certificate")
        if self._leaf_digest is None:
            self._leaf_digest = leaf_digest
        return leaf_digest == self._leaf_digest

    async def _answer(self, response: aiohttp.ClientResponse) -> bytes | None:
        if response.status == _BUSY:
            raise self._away("is busy")
        if response.status == _GONE:
            return None
        if response.status == _FORBIDDEN:
            raise RefusedError(
                f"the broadcaster at {self.place} saw another exchange than this receiver: somebody sits in between; "
                "look who has that address"
            )
        if response.status == _BAD_REQUEST:
            raise RefusedError(
                f"{self.place} does not understand this receiver: use the same version of slatecast on both machines"
            )
        if response.status != _OK:
            raise self.stranger(f"answers {response.status}")
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > MAX_ANSWER_LENGTH:
                raise self.stranger("answers without end")
        return bytes(body)

    def stranger(self, what: str) -> RefusedError:
        """The error for an answer that no broadcaster gives."""
        return RefusedError(f"{self.place} is not a slatecast broadcaster ({what}): name it with --server HOST[:PORT]")

    def _no_address(self) -> ConfigError:
        return ConfigError(f"broadcaster {self.place!r}: write HOST or HOST:PORT, with a port from 1 to 65535")

    def _away(self, what: str) -> TransportError:
        return TransportError(f"the broadcaster at {self.place} {what}")
