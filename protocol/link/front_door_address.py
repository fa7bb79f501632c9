"""Where a broadcaster's front door is: a host and a TCP port, as people write them."""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from protocol.errors import ConfigError

DEFAULT_FRONT_DOOR_PORT: Final = 8884
"""TCP, unassigned and not ephemeral; beside 8883, the broker's."""

DEFAULT_SEAT_API_PORT: Final = 8885
"""TCP, unassigned and not ephemeral; nobody has to know it, since whoever enrols is told."""


class FrontDoorAddress(NamedTuple):
    """Host name or address, and port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "FrontDoorAddress":
        """Read HOST, HOST:PORT, [IPV6] or [IPV6]:PORT.

        Raises:
            ConfigError: it is nothing of that.
        """
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError(f"{text!r}: write host:port, or [address]:port for IPv6") from None
        is_plain = parts.netloc == text and "@" not in text and not any(each.isspace() for each in text)
        if not host or port == 0 or not is_plain:
            raise ConfigError(f"{text!r}: write host:port with a port from 1 to 65535, or the host alone")
        return cls(host, port or DEFAULT_FRONT_DOOR_PORT)

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
