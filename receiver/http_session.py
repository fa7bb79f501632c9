"""The HTTP sessions of a receiver: with one host that may be anybody's, so nothing of it is kept, followed or unpacked.

Cookies, proxies of the environment and compressed bodies are out; a head is bounded. What an answer may be long, and
whether to believe it, is for whoever asks.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import aiohttp

MAX_LINE: Final = 1024
"""[bytes] Of the status line and of one header; those of our own answers are shorter than 80."""

MAX_HEADERS: Final = 32


def strict_session(
    connector: aiohttp.BaseConnector,
    timeout: aiohttp.ClientTimeout,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
) -> aiohttp.ClientSession:
    """A session on this connector, to be closed by the caller; redirects are refused at each request."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "slatecast", "Accept-Encoding": "identity", **headers},
        timeout=timeout,
        response_class=response_class,
        auto_decompress=False,
        trust_env=False,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
        max_headers=MAX_HEADERS,
    )
