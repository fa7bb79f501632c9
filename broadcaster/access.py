"""Who may say and hear what on the broker of a room: rules by the name in a certificate, where nothing is allowed else.

    broadcaster, console     everything under slatecast/v1/
    sessiona to sessionz     the same: the sessions that a broadcaster hosts at once have a connection each, and some
                             brokers end the connection of whoever has the same name
    a receiver_id            says presence, report, repair, missing and certificate of its own; hears what broadcasters
                             say to all, and what is on its own topics

The embedded broker asks these rules; those of Mosquitto are written from them. A new kind of message is denied to
receivers until it stands here.
"""

import re
from typing import Final

from protocol import PROTOCOL_VERSION

ROOT: Final = f"slatecast/v{PROTOCOL_VERSION}"
"""of all topics; as in protocol.messages, which the broker's process does not load"""

ROLES: Final = ("broadcaster", "console")
"""Names of certificates that may do everything."""

SESSION_ROLES: Final = tuple(f"session{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
"""As ROLES: one for each session that a broadcaster hosts at once."""

SAID_BY_RECEIVERS: Final = ("presence", "report", "repair", "missing", "certificate")
"""Last levels of the topics on which a receiver speaks for itself."""

SAID_TO_ALL: Final = ("announcement", "status")
"""Last levels of the topics on which broadcasters speak to every receiver."""

_RECEIVER: Final = re.compile(r"[0-9a-f]{32}")
_SESSION_FILTER: Final = re.compile(rf"{ROOT}/sessions/(\+|[0-9a-f]{{16}})/({'|'.join(SAID_TO_ALL)}|#)")
_OWN_FILTER: Final = re.compile(rf"{ROOT}/receivers/([0-9a-f]{{32}})/({'|'.join(SAID_BY_RECEIVERS)}|ticket|#)")


def is_receiver(name: str) -> bool:
    """Whether a certificate with this common name is a receiver's."""
    return _RECEIVER.fullmatch(name) is not None


def is_known(name: str) -> bool:
    """Whether a certificate with this common name may do anything at all."""
    return is_role(name) or is_receiver(name)


def is_role(name: str) -> bool:
    """Whether a certificate with this common name is a part of the broadcaster, or its console."""
    return name in ROLES or name in SESSION_ROLES


def may_publish(name: str, topic: str) -> bool:
    """Whether the holder of a certificate with this common name may say something on ``topic``."""
    if is_role(name):
        return topic.startswith(f"{ROOT}/")
    return is_receiver(name) and any(topic == f"{ROOT}/receivers/{name}/{leaf}" for leaf in SAID_BY_RECEIVERS)


def may_subscribe(name: str, topic_filter: str) -> bool:
    """Whether it may hear all that ``topic_filter`` covers."""
    if is_role(name):
        return topic_filter.startswith(f"{ROOT}/")
    if not is_receiver(name):
        return False
    own = _OWN_FILTER.fullmatch(topic_filter)
    return _SESSION_FILTER.fullmatch(topic_filter) is not None or (own is not None and own[1] == name)
