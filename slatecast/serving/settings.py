"""What ``slatecast serve`` can be told, as typed sections with bounds and a default for every key.

One TOML file holds all of it; the command line and SLATECAST_SERVE_* come before it, and no file at all works. The
description of a key stands at its type: the file that ``slatecast config init`` writes, and the check of the
documents, are made from it. An unknown key, a wrong type or a value that cannot be is one line with file and key.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import click
import msgspec
from msgspec import Meta

from broadcaster.netboot.config import DEFAULT_BOOT_PORT, Dhcp, NetbootConfig
from protocol.errors import ConfigError
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT
from protocol.link.mqtt import DEFAULT_TLS_PORT, BrokerAddress
from protocol.pairing import normalized_token
from slatecast.cli.parameters import Rate

DEFAULT_CONSOLE_PORT: Final = 8443
"""TCP, what people expect of a page with TLS that is not a web server's; no root is needed for it."""

MAX_FILE_LENGTH: Final = 1 << 20
"""[bytes] of a configuration file; stops a device or an image that was named by mistake from being read whole."""

MAX_TEXT: Final = 4096
"""[characters] PATH_MAX of Linux; a longer value is none"""

MAX_URLS: Final = 16
"""[webhooks] each is a request for every session that ends"""

SHOWN_OF_A_NAME: Final = 60
"""[characters] of an unknown key; enough to see which one it is"""

_SHAPES: Final = {
    r"^[^\x00-\x1f\x7f]*\Z": "a text without control characters",
    r"^https?://[^\s\x00-\x1f\x7f]+\Z": "an address like https://host/path",
    r"^[^@\s,\x00-\x1f\x7f]+@[^@\s,\x00-\x1f\x7f]+\Z": "an address like name@host",
    r"^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?\Z": "a host name like lab.example",
}
_TEXT, _URL, _MAIL_ADDRESS, HOST_NAME = _SHAPES
_PATTERN: Final = re.compile(r"`str` matching regex '(.*)'", re.DOTALL)
_TYPES: Final = {"`object`": "a table", "`array`": "a list", "`str`": "a text", "`int`": "a whole number"} | {
    "`int | str`": "a text or a whole number",
    "`bool`": "true or false",
    "`float`": "a number with a fraction",
}
_TYPE: Final = re.compile("|".join(map(re.escape, _TYPES)))

Text = Annotated[str, Meta(max_length=MAX_TEXT, pattern=_TEXT)]
HostName = Annotated[str, Meta(max_length=253, pattern=HOST_NAME)]
Url = Annotated[str, Meta(max_length=MAX_TEXT, pattern=_URL)]
MailAddress = Annotated[str, Meta(max_length=254, pattern=_MAIL_ADDRESS)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections."""


class BroadcasterSettings(_Section, frozen=True, kw_only=True):
    """The part that sends: images, keys, and the network that receivers are on."""

    interface: Annotated[Text, Meta(description="Interface or address to send from. Empty: the one of the route.")] = ""
    rate: Annotated[
        int | Text, Meta(description='Bits per second on the link, such as "900M". Empty: 90 % of the link.')
    ] = ""
    max_rate: Annotated[
        int | Text, Meta(description='Of all casts of this machine together, such as "2G". Empty: no such limit.')
    ] = ""
    library: Annotated[Text, Meta(description="Folder of the image library. Empty: the user's data folder.")] = ""
    keys: Annotated[Text, Meta(description="Folder of the keys. Empty: the user's configuration folder.")] = ""
    token: Annotated[
        Text,
        Meta(description="Receivers with this word need no operator. A file that holds it must be its owner's alone."),
    ] = ""
    token_file: Annotated[Text, Meta(description="File whose first line is that word.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Where receivers enrol.")] = DEFAULT_FRONT_DOOR_PORT
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="Serve the broadcaster's own Prometheus metrics here. 0: do not.")
    ] = 0
    metrics_listen: Annotated[
        Text, Meta(description="Address where that port listens: it asks for no login, and says no secret.")
    ] = "127.0.0.1"


class BrokerSettings(_Section, frozen=True, kw_only=True):
    """The MQTT broker that receivers, broadcaster and console speak over."""

    port: Annotated[int, Meta(ge=1, le=65535, description="Of the embedded broker.")] = DEFAULT_TLS_PORT
    address: Annotated[
        Text, Meta(description='Another broker instead of the embedded one, such as "mqtts://10.0.4.2:8883".')
    ] = ""
    ca_file: Annotated[
        Text, Meta(description="PEM file of the authority of that broker. Empty: our own authority.")
    ] = ""


class ConsoleSettings(_Section, frozen=True, kw_only=True):
    """The page and the API for operators."""

    listen: Annotated[Text, Meta(description="Address to listen on. Empty: that of the interface.")] = ""
    names: Annotated[
        tuple[HostName, ...],
        Meta(max_length=MAX_URLS, description="Host names by which browsers call it, besides address and own name."),
    ] = ()
    port: Annotated[int, Meta(ge=1, le=65535, description="Where the page and the API are.")] = DEFAULT_CONSOLE_PORT
    https: Annotated[bool, Meta(description="false: plain HTTP, where anybody on the network can read passwords.")] = (
        True
    )
    metrics: Annotated[bool, Meta(description="Serve Prometheus metrics to anybody, without login.")] = False
    state: Annotated[
        Text, Meta(description="Folder of accounts, rooms and history. Empty: the user's state folder.")
    ] = ""


class NoticesSettings(_Section, frozen=True, kw_only=True):
    """Who is told when a session ends or a seat fails."""

    webhooks: Annotated[
        tuple[Url, ...], Meta(max_length=MAX_URLS, description="URLs that get a JSON document by POST.")
    ] = ()
    webhook_secret_file: Annotated[
        Text, Meta(description="File whose first line signs what they get. Empty: it is not signed.")
    ] = ""
    ca_file: Annotated[
        Text, Meta(description="PEM file of the authority of webhooks and mail server. Empty: those of this system.")
    ] = ""
    smtp_host: Annotated[Text, Meta(description="Mail server. Empty: no mail is sent.")] = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="587 is for STARTTLS, 465 for TLS, 25 for neither.")] = (
        587
    )
    smtp_user: Annotated[Text, Meta(description="Name for the mail server. Empty: it asks for none.")] = ""
    smtp_password_file: Annotated[Text, Meta(description="File whose first line is the password to that name.")] = ""
    mail_from: Annotated[Text, Meta(description="Sender of the mails.")] = ""
    mail_to: Annotated[tuple[MailAddress, ...], Meta(max_length=MAX_URLS, description="Who gets them.")] = ()


class BootSettings(_Section, frozen=True, kw_only=True):
    """Booting PCs from the network into the environment that images them."""

    enabled: Annotated[bool, Meta(description="true: do it; it needs root and dnsmasq.")] = False
    folder: Annotated[
        Text, Meta(description="Environment that 'slatecast boot build' made. Empty: in the user's data folder.")
    ] = ""
    dhcp: Annotated[
        Literal["proxy", "reserved", "full"],
        Meta(description="Beside the site's DHCP; so, with some addresses of our own (Secure Boot); the only DHCP."),
    ] = "proxy"
    range: Annotated[
        Text, Meta(description='Addresses that are ours to give, "10.0.4.200-10.0.4.220". Empty with "proxy".')
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="HTTP, of kernel and initrd.")] = DEFAULT_BOOT_PORT
    secure_boot: Annotated[
        bool, Meta(description='PCs with UEFI get loaders signed by Debian, unless dhcp is "proxy".')
    ] = True
    answer_all: Annotated[
        bool, Meta(description="true: PCs of no room too are sent to their own disks; else their firmware waits.")
    ] = False
    everyone: Annotated[bool, Meta(description="true: every PC boots the environment, as in a closed room.")] = False


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    broadcaster: BroadcasterSettings = BroadcasterSettings()
    broker: BrokerSettings = BrokerSettings()
    console: ConsoleSettings = ConsoleSettings()
    notices: NoticesSettings = NoticesSettings()
    boot: BootSettings = BootSettings()


Overrides = Mapping[str, Mapping[str, object]]
"""values by section and key, from the command line and the environment"""


def read_settings(file: Path | None, overrides: Overrides | None = None) -> Settings:
    """The settings of a file, None for none, with ``overrides`` in their place; judged as a whole.

    Raises:
        ConfigError: the file cannot be read, or something in it cannot be; one line with file and key.
    """
    where = "" if file is None else f"{file}: "
    settings = Settings() if file is None else _decode(_read(file), where)
    if overrides:
        values = msgspec.to_builtins(settings)
        for section, keys in overrides.items():
            values[section].update(keys)
        settings = _convert(values, "")
    for section, key, fault in impossibilities(settings):
        raise ConfigError(f"{where}[{section}] {key}: {fault}")
    return settings


def rate_in_bits(rate: int | str) -> int | None:
    """[bit/s] of a rate as people write it; None for an empty one.

    Raises:
        ConfigError: it is no rate.
    """
    if rate == "":
        return None
    try:
        return Rate().convert(str(rate), None, None)
    except click.UsageError as error:
        raise ConfigError(error.message) from None


def impossibilities(settings: Settings) -> list[tuple[str, str, str]]:
    """Section, key and what is wrong there, of values that fit their type and cannot be all the same."""
    checks: list[tuple[str, str, Any]] = [
        ("broadcaster", "rate", lambda: rate_in_bits(settings.broadcaster.rate)),
        ("broadcaster", "max_rate", lambda: _check_max_rate(settings.broadcaster)),
        ("broadcaster", "token", lambda: _check_token(settings.broadcaster)),
        ("broker", "address", lambda: settings.broker.address and BrokerAddress.parse(settings.broker.address)),
        ("broker", "ca_file", lambda: _check_ca_file(settings.broker)),
        ("console", "port", lambda: _check_ports(settings)),
        ("boot", "range", lambda: _check_boot(settings.boot)),
        ("notices", "webhook_secret_file", lambda: _check_secret(settings.notices)),
        ("notices", "smtp_host", lambda: _check_mail(settings.notices)),
    ]
    found = []
    for section, key, check in checks:
        try:
            check()
        except ConfigError as error:
            found.append((section, key, str(error)))
    return found


def _check_max_rate(broadcaster: BroadcasterSettings) -> None:
    most = rate_in_bits(broadcaster.max_rate)
    try:
        rate = rate_in_bits(broadcaster.rate)
    except ConfigError:
        return  # told at its own key
    if most is not None and rate is not None and rate > most:
        raise ConfigError(f"rate {broadcaster.rate} is more than {broadcaster.max_rate}: lower one or raise the other")


def _check_token(broadcaster: BroadcasterSettings) -> None:
    if broadcaster.token and broadcaster.token_file:
        raise ConfigError("there is a token_file as well: give one of them")
    if broadcaster.token:
        normalized_token(broadcaster.token)


def _check_ca_file(broker: BrokerSettings) -> None:
    if broker.ca_file and not broker.address.startswith("mqtts://"):
        raise ConfigError("it belongs to an address that begins with mqtts://")


def _check_ports(settings: Settings) -> None:
    ports = [settings.broadcaster.port, settings.console.port]
    ports += [] if settings.broker.address else [settings.broker.port]
    ports += [settings.broadcaster.metrics_port] if settings.broadcaster.metrics_port else []
    ports += [settings.boot.port] if settings.boot.enabled else []
    if len(set(ports)) < len(ports):
        raise ConfigError("broadcaster, broker, console, metrics and boot need ports of their own")


def _check_boot(boot: BootSettings) -> None:
    NetbootConfig(Path(), Path(), "", dhcp=Dhcp(boot.dhcp), addresses=boot.range).check()


def _check_secret(notices: NoticesSettings) -> None:
    if notices.webhook_secret_file and not notices.webhooks:
        raise ConfigError("there are no webhooks that it could sign for")


def _check_mail(notices: NoticesSettings) -> None:
    given = (notices.smtp_host, notices.mail_from, notices.mail_to)
    if any(given) and not all(given):
        raise ConfigError("mail needs smtp_host, mail_from and mail_to together")
    if bool(notices.smtp_user) != bool(notices.smtp_password_file):
        raise ConfigError("smtp_user and smtp_password_file belong together")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_LENGTH + 1)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}; 'slatecast config init' writes one") from None
    if len(data) > MAX_FILE_LENGTH:
        raise ConfigError(f"{file}: longer than {MAX_FILE_LENGTH} bytes, so it is no configuration")
    return data


def _decode(data: bytes, where: str) -> Settings:
    try:
        return msgspec.toml.decode(data, type=Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}{_fault_in_words(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}not TOML: {error}") from None


def _convert(values: object, where: str) -> Settings:
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}{_fault_in_words(str(error))}") from None


def _fault_in_words(text: str) -> str:
    """The section and key first, as people look for them."""
    fault, _, path = text.partition(" - at `$")
    section, _, key = path.removeprefix(".").rstrip("`").partition(".")
    place = f"[{section}] {key}".rstrip() if section else ""
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", fault, re.DOTALL)
    if unknown is not None:
        kind = "key" if section else "section"
        fault = f"{unknown[1][:SHOWN_OF_A_NAME]!r} is no {kind} here; there are {', '.join(_keys_of(section))}"
    else:
        fault = _PATTERN.sub(lambda match: _SHAPES[match[1].replace("\\\\", "\\")], fault[:1].lower() + fault[1:])
        fault = _TYPE.sub(lambda match: _TYPES[match[0]], fault)
    return f"{place}: {fault}" if place else fault


def _keys_of(section: str) -> tuple[str, ...]:
    whole: Any = getattr(Settings(), section) if section else Settings()
    names: tuple[str, ...] = whole.__struct_fields__
    return names
