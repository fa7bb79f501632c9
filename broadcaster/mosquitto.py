"""A ready-made configuration of Mosquitto 2.0: TLS with our certificates, and the rules of broadcaster.access.

    mosquitto.conf   to be used as it is: mosquitto -c FOLDER/mosquitto.conf
    acl              the rules, by the name in a certificate
    authority.crt    whose certificates are accepted
    broker.crt/.key  what the broker shows; the key is for the user that Mosquitto runs as, and nobody else

Mosquitto takes the client id from the certificate, so that no receiver can throw out another one; so two connections
with the same name end each other.
"""

import os
import pwd
from pathlib import Path
from typing import Final

from broadcaster.access import ROLES, ROOT, SAID_BY_RECEIVERS, SAID_TO_ALL, SESSION_ROLES
from broadcaster.authority import Authority
from protocol.errors import ConfigError
from protocol.link.mqtt import DEFAULT_TLS_PORT

MOSQUITTO_USER: Final = "mosquitto"
"""What Mosquitto becomes when it was started by root, and then reads its key as."""

MAX_PACKET_BYTES: Final = 1 << 20
"""[bytes] As the embedded broker: four times our longest message."""

MAX_CONNECTIONS: Final = 4096
"""[connections] of one listener: the largest session and as many that are half-open, below."""

MAX_QUEUED_MESSAGES: Final = 16_384
"""[messages] that a subscriber may leave unread: five reports of each seat of the largest session."""

MAX_QUEUED_BYTES: Final = 8 << 20
"""[bytes] of them, as the embedded broker."""

MAX_KEEPALIVE: Final = 60
"""[s] Stops a connection that is gone from being held for long; ours ask for 5."""

CONFIGURATION: Final = "mosquitto.conf"
ACCESS_RULES: Final = "acl"
AUTHORITY: Final = "authority.crt"
CERTIFICATE: Final = "broker.crt"
PRIVATE_KEY: Final = "broker.key"


def write_configuration(folder: Path, authority: Authority, *, port: int = DEFAULT_TLS_PORT, address: str = "") -> None:
    """Write the five files into a new or empty folder.

    Args:
        folder: where Mosquitto will read them; the configuration names it.
        authority: of the broadcaster whose rooms use this broker.
        port: where to listen.
        address: to listen on; empty for all.

    Raises:
        ConfigError: the folder holds something, cannot be written, or has a name that Mosquitto cannot read.
    """
    folder = folder.absolute()
    if not str(folder).isprintable():
        raise ConfigError(f"folder {str(folder)!r}: Mosquitto cannot read such a name; choose another")
    identity = authority.server_identity()
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty: name a new folder, or remove what it holds")
        for name, content, mode in (
            (ACCESS_RULES, access_rules().encode(), 0o644),
            (AUTHORITY, authority.certificate, 0o644),
            (CERTIFICATE, identity.certificate, 0o644),
            (PRIVATE_KEY, identity.private_key, 0o600),
            (CONFIGURATION, _configuration(folder, port, address).encode(), 0o644),
        ):
            _write(folder / name, content, mode)
        _hand_over(folder / PRIVATE_KEY)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror or error}; choose a folder that you may write to") from None


def access_rules() -> str:
    """The rules of broadcaster.access in the words of Mosquitto's acl_file; what is not allowed is denied."""
    lines = ["# Written by slatecast: who may say and hear what, by the name in the certificate.", ""]
    for role in (*ROLES, *SESSION_ROLES):
        lines += [f"user {role}", f"topic readwrite {ROOT}/#", ""]
    lines.append("# Everybody, where %u is the name: receivers")
    lines += [f"pattern read {ROOT}/sessions/+/{leaf}" for leaf in SAID_TO_ALL]
    lines.append(f"pattern read {ROOT}/receivers/%u/#")
    lines += [f"pattern write {ROOT}/receivers/%u/{leaf}" for leaf in SAID_BY_RECEIVERS]
    return "\n".join(lines) + "\n"


def _configuration(folder: Path, port: int, address: str) -> str:
    return "\n".join(
        (
            "# Written by slatecast for Mosquitto 2.0. Nobody without a certificate of this broadcaster gets in.",
            f"# {PRIVATE_KEY} must belong to the user that Mosquitto runs as: chown {MOSQUITTO_USER} {PRIVATE_KEY}",
            "per_listener_settings false",
            "allow_anonymous false",
            f"acl_file {folder / ACCESS_RULES}",
            "persistence false",
            f"max_packet_size {MAX_PACKET_BYTES}",
            f"message_size_limit {MAX_PACKET_BYTES}",
            f"max_queued_messages {MAX_QUEUED_MESSAGES}",
            f"max_queued_bytes {MAX_QUEUED_BYTES}",
            f"max_keepalive {MAX_KEEPALIVE}",
            "set_tcp_nodelay true",
            "",
            f"listener {port}{address and ' ' + address}",
            f"max_connections {MAX_CONNECTIONS}",
            f"cafile {folder / AUTHORITY}",
            f"certfile {folder / CERTIFICATE}",
            f"keyfile {folder / PRIVATE_KEY}",
            "tls_version tlsv1.3",
            "require_certificate true",
            "use_identity_as_username true",
            "use_username_as_clientid true",
            "",
        )
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """A new file with its mode from the first moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _hand_over(private_key: Path) -> None:
    """Give the key to Mosquitto's user where that can be done: as root, on a machine that has this user."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(MOSQUITTO_USER)
    except KeyError:
        return
    os.chown(private_key, user.pw_uid, user.pw_gid)
