"""Judges a configuration on this machine, all of it at once: what ``slatecast serve`` would stumble over.

It changes nothing. Ports of a service that is running already are taken, which is said as what it is.
"""

import errno
import importlib.util
import os
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from broadcaster.environment.description import read_description
from broadcaster.key_files import KeyFolder
from broadcaster.keys import KeyStore
from broadcaster.netboot.config import AddressRange, check_range, network_of
from broadcaster.netboot.ports import check_ports
from dashboards.notices.webhook import Webhook
from protocol.errors import ConfigError, SlatecastError
from protocol.link.interfaces import resolve_interface
from protocol.link.tls import pinned_context
from slatecast.cli.context import default_environment, default_keys, default_library, default_state
from slatecast.serving.places import folder, host_of, read_word
from slatecast.serving.settings import Settings

REQUIRED: Final = {"amqtt": "server", "nicegui": "console", "uvicorn": "console", "argon2": "console"}
"""Libraries by the extra that brings them."""


def faults(settings: Settings, file: Path | None) -> Iterator[str]:
    """What is wrong, one line each with section and key; nothing when the service can start."""
    checks: list[tuple[str, Callable[[], object]]] = [
        ("", check_libraries),
        ("[broadcaster] interface", lambda: resolve_interface(settings.broadcaster.interface or None)),
        ("[broadcaster] library", lambda: _check_folder(folder(settings.broadcaster.library, default_library()))),
        ("[broadcaster] keys", lambda: _check_keys(folder(settings.broadcaster.keys, default_keys()))),
        ("[broadcaster] token", lambda: _check_privacy(settings, file)),
        ("[broadcaster] token_file", lambda: _check_word(settings.broadcaster.token_file)),
        ("[broadcaster] port", lambda: _check_port(settings, _interface_host, settings.broadcaster.port)),
        ("[broker] port", lambda: _check_broker_port(settings)),
        ("[broker] ca_file", lambda: _check_certificate(settings.broker.ca_file)),
        ("[console] listen", lambda: _check_port(settings, _console_host, 0)),
        ("[console] port", lambda: _check_port(settings, _console_host, settings.console.port)),
        ("[console] state", lambda: _check_folder(folder(settings.console.state, default_state()))),
        *_boot_checks(settings),
        ("[notices] webhooks", lambda: [Webhook(url) for url in settings.notices.webhooks]),
        ("[notices] webhook_secret_file", lambda: _check_word(settings.notices.webhook_secret_file)),
        ("[notices] ca_file", lambda: _check_certificate(settings.notices.ca_file)),
        ("[notices] smtp_password_file", lambda: _check_word(settings.notices.smtp_password_file)),
    ]
    for where, check in checks:
        try:
            check()
        except SlatecastError as error:
            yield f"{where}: {error}" if where else str(error)


def _boot_checks(settings: Settings) -> list[tuple[str, Callable[[], object]]]:
    """What booting from the network needs, where it is switched on."""
    boot = settings.boot
    if not boot.enabled:
        return []

    def check_addresses() -> None:
        network = network_of(resolve_interface(settings.broadcaster.interface or None))
        if boot.range:
            check_range(AddressRange.parse(boot.range), network)

    return [
        ("[boot] folder", lambda: read_description(folder(boot.folder, default_environment()))),
        ("[boot] range", check_addresses),
        ("[boot] enabled", lambda: check_ports(resolve_interface(settings.broadcaster.interface or None))),
        ("[boot] port", lambda: _check_port(settings, _interface_host, boot.port)),
    ]


def check_libraries() -> None:
    """Whether what a service needs is installed.

    Raises:
        ConfigError: something is not.
    """
    missing = sorted({extra for library, extra in REQUIRED.items() if importlib.util.find_spec(library) is None})
    if missing:
        raise ConfigError(f"the service needs more than is installed: pip install 'slatecast[{','.join(missing)}]'")


def _check_folder(path: Path) -> None:
    """A folder that can be written, or made."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigError(f"{there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{there} cannot be written by this user")


def _check_keys(path: Path) -> None:
    if KeyFolder(path).has_keys():
        KeyStore.open(path)
    else:
        _check_folder(path)


def _check_privacy(settings: Settings, file: Path | None) -> None:
    has_secret = settings.broadcaster.token or "@" in settings.broker.address
    if has_secret and file is not None and file.stat().st_mode & 0o007:
        raise ConfigError(f"{file} holds a secret and can be read by other users: chmod 640 {file}")


def _check_word(file: str) -> None:
    if file:
        read_word(file)


def _check_certificate(file: str) -> None:
    if not file:
        return
    try:
        pinned_context(Path(file).expanduser().read_bytes(), None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: {reason}; name a PEM file of certificates") from None


def _check_broker_port(settings: Settings) -> None:
    if not settings.broker.address:
        _check_port(settings, _interface_host, settings.broker.port)


def _check_port(settings: Settings, host_for: Callable[[Settings], str | None], port: int) -> None:
    host = host_for(settings)
    if host is None:
        return  # told at its own key
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        with socket.create_server((host, port), family=family):
            pass
    except ValueError:
        raise ConfigError(f"{host!r} is no address: give one of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is in use: is the service running, or another program?") from None
        if not port:
            raise ConfigError(f"{host}: {error.strerror}; give an address of this machine") from None


def _interface_host(settings: Settings) -> str | None:
    try:
        return host_of(resolve_interface(settings.broadcaster.interface or None))
    except SlatecastError:
        return None


def _console_host(settings: Settings) -> str | None:
    return settings.console.listen or _interface_host(settings)
