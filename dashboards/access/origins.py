"""Who a request says it is for, and from which page it comes. Pure.

Host               must be one of ours (DNS rebinding)
Origin             must be our own address, where a browser sends it
Sec-Fetch-Site     must not be another site, where a browser sends it
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dashboards.access.policy import AccessPolicy

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110: they change nothing."""

_HOST: Final = re.compile(r"(?:(?P<name>[A-Za-z0-9._-]{1,253})|\[(?P<address>[0-9A-Fa-f:.]{2,45})\])(?::[0-9]{1,5})?\Z")


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a request that guards look at; a name that came twice counts as malformed."""

    values: dict[str, str]
    repeated: frozenset[str]

    @classmethod
    def of(cls, raw: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """From an ASGI scope."""
        values: dict[str, str] = {}
        repeated = set()
        for name, value in raw:
            key = name.decode("latin-1").lower()
            if key in values:
                repeated.add(key)
            values[key] = value.decode("latin-1")
        return cls(values, frozenset(repeated))

    def get(self, name: str) -> str:
        """The value; empty when it did not come, or came more than once."""
        return "" if name in self.repeated else self.values.get(name, "")


def is_our_host(headers: Headers, policy: AccessPolicy) -> bool:
    """Whether the Host header names us."""
    match = _HOST.match(headers.get("host"))
    if match is None:
        return False
    return (match["name"] or match["address"]).lower().rstrip(".") in policy.hosts


def is_own_origin(headers: Headers, policy: AccessPolicy) -> bool:
    """Whether a browser says that one of our own pages sends this; False when it says nothing of it."""
    if "origin" in headers.values:
        return headers.get("origin").lower() == f"{policy.scheme}://{headers.get('host')}".lower()
    return headers.get("sec-fetch-site") == "same-origin"


def is_foreign(headers: Headers, policy: AccessPolicy, *, is_page: bool) -> bool:
    """Whether a browser says that another site makes this request.

    Args:
        headers: of the request.
        policy: of the console.
        is_page: somebody who follows a link to a page of ours may come from anywhere.
    """
    if "origin" in headers.values and not is_own_origin(headers, policy):
        return True
    site = headers.get("sec-fetch-site")
    if site in {"", "same-origin", "none"}:
        return False
    return not (is_page and headers.get("sec-fetch-mode") == "navigate")
