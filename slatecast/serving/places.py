"""What settings mean on this machine: which folders, which interface, which addresses, which token.

Nothing is made or opened here but files that hold a word.
"""

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from broadcaster.netboot.orders import ORDERS_FILE
from dashboards.config import MailConfig, NoticesConfig
from protocol.errors import ConfigError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import InterfaceInfo, resolve_interface
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import pinned_context
from protocol.pairing import normalized_token
from slatecast.cli.context import default_environment, default_keys, default_library, default_state
from slatecast.serving.settings import HOST_NAME, NoticesSettings, Settings

MAX_WORD_FILE = 4096
"""[bytes] of a file that holds a word; stops a device or an image that was named by mistake."""


@dataclass(frozen=True, slots=True)
class Places:
    """One machine's answer to the settings."""

    settings: Settings
    library: Path
    keys: Path
    state: Path
    interface: InterfaceInfo
    broker: BrokerAddress
    """that the parts of the service use"""
    is_broker_ours: bool
    """it is to be run here"""
    ca_file: Path | None
    token: str | None = field(repr=False)

    @property
    def environment(self) -> Path:
        """What PCs boot from the network."""
        return folder(self.settings.boot.folder, default_environment())

    @property
    def boot_orders(self) -> Path:
        """Where the broadcaster says which of them do."""
        return self.library / ORDERS_FILE

    @property
    def host(self) -> str:
        """Address of the interface."""
        return host_of(self.interface)

    @property
    def console_host(self) -> str:
        """Address that the console listens on."""
        return self.settings.console.listen or self.host

    @property
    def console_names(self) -> tuple[str, ...]:
        """Addresses and names by which browsers may call the console, the one to print first."""
        everywhere = self.console_host in ("0.0.0.0", "::")
        own = socket.gethostname()
        names = [self.host if everywhere else self.console_host, *self.settings.console.names]
        names += [own] if re.fullmatch(HOST_NAME, own) else []
        return tuple(dict.fromkeys(name.lower() for name in names))

    @property
    def front_door(self) -> FrontDoorAddress:
        """Where receivers enrol."""
        return FrontDoorAddress(self.host, self.settings.broadcaster.port)


def find_places(settings: Settings) -> Places:
    """The places for these settings.

    Raises:
        ConfigError: a file that holds a word cannot be read, or the word may not be one.
        TransportError: there is no such interface, or it cannot carry a cast.
    """
    broker = BrokerAddress.parse(settings.broker.address) if settings.broker.address else None
    interface = _interface(settings.broadcaster.interface, broker)
    return Places(
        settings=settings,
        library=folder(settings.broadcaster.library, default_library()),
        keys=folder(settings.broadcaster.keys, default_keys()),
        state=folder(settings.console.state, default_state()),
        interface=interface,
        broker=broker or BrokerAddress(host_of(interface), settings.broker.port, tls=True),
        is_broker_ours=broker is None,
        ca_file=Path(settings.broker.ca_file).expanduser() if settings.broker.ca_file else None,
        token=_token(settings),
    )


def folder(named: str, default: Path) -> Path:
    """The folder that was named, or the default one."""
    return Path(named).expanduser() if named else default


def host_of(interface: InterfaceInfo) -> str:
    """The address by which an interface is reached."""
    return interface.ipv4 or interface.ipv6 or ""


def notices_of(notices: NoticesSettings) -> NoticesConfig:
    """What the console needs to know of whom to tell.

    Raises:
        ConfigError: the file of the password, the secret or the authority cannot be read.
    """
    mail = None
    if notices.smtp_host:
        password = read_word(notices.smtp_password_file) if notices.smtp_password_file else ""
        mail = MailConfig(
            notices.smtp_host,
            notices.smtp_port,
            notices.mail_from,
            notices.mail_to,
            user=notices.smtp_user,
            password=password,
        )
    secret = read_word(notices.webhook_secret_file).encode() if notices.webhook_secret_file else b""
    return NoticesConfig(notices.webhooks, mail, webhook_secret=secret, authority=_authority(notices.ca_file))


def _authority(file: str) -> bytes | None:
    """The certificates in a file, checked to be some; None without one."""
    if not file:
        return None
    try:
        pem = Path(file).expanduser().read_bytes()
        pinned_context(pem, None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"[notices] ca_file {file}: {reason}; name a PEM file of certificates") from None
    return pem


def read_word(file: str) -> str:
    """The first line of a file that holds a secret.

    Raises:
        ConfigError: it cannot be read, other users can read it too, or it holds no word.
    """
    path = Path(file).expanduser()
    try:
        with path.open("rb") as stream:
            if path.stat().st_mode & 0o007:
                raise ConfigError(f"{path} can be read by other users: chmod 600 {path}")
            word = stream.read(MAX_WORD_FILE).partition(b"\n")[0].decode().strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        word = ""
    if not word:
        raise ConfigError(f"{path} holds no word: write one into its first line")
    return word


def _interface(name: str, broker: BrokerAddress | None) -> InterfaceInfo:
    """Where receivers listen that are told as little: the interface that leads to a broker elsewhere."""
    if not name and broker is not None:
        towards = resolve_interface(towards=broker.host)
        if not towards.is_loopback:
            return towards
    return resolve_interface(name or None)


def _token(settings: Settings) -> str | None:
    token = settings.broadcaster.token
    if settings.broadcaster.token_file:
        token = read_word(settings.broadcaster.token_file)
    if token:
        normalized_token(token)
    return token or None
