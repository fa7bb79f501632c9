"""Tells an event to a program by HTTP: one POST of JSON, signed when a secret is set.

    X-Slatecast-Event: the event's id, percent-encoded, the same when it is sent again
    X-Slatecast-Signature: sha256=HMAC-SHA256 of the body with the secret, in hex digits

An https certificate is checked; a redirect is refused, so that nothing goes where nobody wrote that it should; proxies
of the environment are not asked. Of the answer only the status counts.
"""

import hashlib
import hmac
import ssl
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from dashboards.notices.events import Event
from protocol.errors import ConfigError, RefusedError, TransportError

EVENT_HEADER: Final = "X-Slatecast-Event"
SIGNATURE_HEADER: Final = "X-Slatecast-Signature"

_TRY_AGAIN: Final = frozenset({408, 425, 429})
"""HTTP statuses below 500 that say so (RFC 9110, 8470, 6585)"""

CONNECT_TIMEOUT: Final = 10.0
"""[s] Chosen: a host within reach answers within one; beyond the outbox ends the attempt."""


class Webhook:
    """A program at a URL.

    Args:
        url: http or https; its path and query may hold secrets, and are never told.
        secret: with which bodies are signed; empty for none.
        authority: PEM of who issued the program's certificate; None for those that this system trusts.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, secret: bytes = b"", authority: bytes | None = None) -> None:
        self._url = url
        self._secret = secret
        self._name = _checked_name(url)
        try:
            self._tls = ssl.create_default_context(cadata=None if authority is None else authority.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError):
            raise ConfigError(f"the authority for {self._name} is no certificate in PEM: name its file") from None

    def __repr__(self) -> str:
        return f"Webhook({self._name!r})"

    @property
    def name(self) -> str:
        """Scheme and host."""
        return self._name

    async def deliver(self, event: Event) -> None:
        """Post one event.

        Raises:
            TransportError: it cannot be reached, or asks for another attempt.
            RefusedError: it refuses the event, or what it is cannot be trusted.
        """
        body = msgspec.json.encode(event.as_json())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "slatecast",
            EVENT_HEADER: quote(event.id, safe="/:"),
        }
        if self._secret:
            headers[SIGNATURE_HEADER] = signature(body, self._secret)
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                ) as session,
                session.post(
                    self._url, data=body, headers=headers, allow_redirects=False, ssl=self._tls, auto_decompress=False
                ) as answer,
            ):
                _judge(answer.status)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise RefusedError("its certificate is not trusted: name the authority that issued it") from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # The texts of these errors hold the whole URL.
            raise TransportError(f"it cannot be reached ({type(error).__name__}): see whether it runs") from None


def signature(body: bytes, secret: bytes) -> str:
    """What the signature header says of a body."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise RefusedError(f"it answers with a redirect ({status}): configure the address that it leads to")
    if status in _TRY_AGAIN or status >= 500:
        raise TransportError(f"it answers with status {status}")
    raise RefusedError(f"it answers with status {status}: see what it expects")


def _checked_name(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        raise ConfigError("a webhook is no URL: write https://HOST/PATH") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url:
        raise ConfigError("a webhook is no URL: write https://HOST/PATH")
    if parts.username is not None:
        raise ConfigError(f"the webhook at {parts.hostname} holds a name or password: use its secret instead")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"
