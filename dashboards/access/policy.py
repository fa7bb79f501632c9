"""What the guards of the console go by. Pure."""

from dataclasses import dataclass
from typing import Final

MAX_BODY: Final = 2 * 1024 * 1024
"""[bytes] of a request: rooms with 14,000 seats; nothing else comes near."""

STRICT_TRANSPORT: Final = 86_400
"""[s] that a browser remembers to ask for HTTPS only: a day, since it then does so for every port of that name, and
another program may answer there without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """How the console may be reached."""

    hosts: frozenset[str]
    """names and addresses by which browsers may call it, lower case, without port; others are refused, since a
    stranger's page can make its own name point here (DNS rebinding)"""
    is_secure: bool = True
    """it speaks HTTPS; without, cookies cannot be bound to it and whoever listens can take them over"""
    is_metrics_open: bool = False
    """``metrics_paths`` need no login"""
    metrics_paths: frozenset[str] = frozenset({"/metrics", "/metrics/targets"})
    max_body: int = MAX_BODY
    """bytes"""
    strict_transport_seconds: int = STRICT_TRANSPORT
    """0 leaves the header out"""

    @property
    def session_cookie(self) -> str:
        """Name of the cookie; ``__Host-`` makes the browser insist that it is ours, for the whole host, and secure."""
        return "__Host-slatecast" if self.is_secure else "slatecast"

    @property
    def form_cookie(self) -> str:
        """Name of the cookie that belongs to the login form."""
        return f"{self.session_cookie}-form"

    @property
    def scheme(self) -> str:
        """Of the console's own addresses."""
        return "https" if self.is_secure else "http"
