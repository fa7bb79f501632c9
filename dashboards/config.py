"""What the console is told at its start by whoever runs it: where everything is, and its keys. Nothing of it changes.

It holds no key of the director: the console can ask the broadcaster, and order in its own name, no more.
"""

from dataclasses import dataclass, field
from pathlib import Path

from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """The broker, and how to trust it and be known there."""

    address: BrokerAddress
    authority: bytes | None = None
    """PEM of who issued its certificate; None without TLS"""
    identity: TlsIdentity | None = None
    """ours, with the common name ``console``; None without TLS"""


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server and who gets what it sends."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    """empty: the server asks for none"""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NoticesConfig:
    """Who is told when a session ends or a seat fails."""

    webhooks: tuple[str, ...] = field(default=(), repr=False)
    """URLs; they may hold secrets of their own"""
    mail: MailConfig | None = None
    webhook_secret: bytes = field(default=b"", repr=False)
    """signs what webhooks get; empty: it is not signed"""
    authority: bytes | None = None
    """PEM of who issued the certificates of webhooks and mail server; None for those that this system trusts"""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """All that ``dashboards.console.run`` needs."""

    broker: BrokerAccess
    director_key: bytes
    """Ed25519, 32 bytes: who signs news and answers"""
    signing_seed: bytes = field(repr=False)
    """Ed25519, 32 bytes: of the key that signs orders"""
    state: Path
    """folder, 0700: accounts, rooms and history; it exists"""
    host: str
    """address to listen on"""
    port: int
    https: TlsIdentity | None
    """what browsers are shown; None for plain HTTP"""
    authority: bytes
    """PEM of who issued ``https``"""
    names: tuple[str, ...] = ()
    """addresses and host names by which browsers may call it, the one to print first; empty: ``host`` alone"""
    with_metrics: bool = False
    """Prometheus metrics without login"""
    notices: NoticesConfig = NoticesConfig()

    @property
    def url(self) -> str:
        """Where the page is, with a slash at the end."""
        name = self.names[0] if self.names else self.host
        host = f"[{name}]" if ":" in name else name
        return f"http{'s' if self.https else ''}://{host}:{self.port}/"
