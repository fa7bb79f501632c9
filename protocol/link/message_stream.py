"""Signed messages on the MQTT link: the one place where a role meets the payloads of its peers.

It passes on what ``protocol.envelope`` proves and ``protocol.messages`` accepts, and drops the rest, since a peer may
be hostile or of another version.
"""

import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from protocol.envelope import open_payload, signed_payload
from protocol.errors import MessageError, SignatureError
from protocol.link.mqtt import MqttLink
from protocol.messages import TOPIC_ROOT, Message, topic_of
from protocol.signing import SigningKey

_RECEIVER_TOPIC: Final = re.compile(rf"{TOPIC_ROOT}/receivers/([0-9a-f]{{32}})/")

_logger = logging.getLogger(__name__)


class Voice:
    """Says messages on a link, each signed with one key."""

    def __init__(self, link: MqttLink, key: SigningKey) -> None:
        self.link = link
        self._key = key

    def say(self, message: Message, *, qos: int = 1, retain: bool = False, supersedes: bool = False) -> None:
        """Queue ``message`` on its topic and return at once; the options are those of ``MqttLink.publish``."""
        payload = signed_payload(message, self._key)
        self.link.publish(topic_of(message), payload, qos=qos, retain=retain, supersedes=supersedes)


async def received_messages(
    link: MqttLink,
    key_for: Callable[[Message], bytes | None],
    on_rejected: Callable[[str, MessageError | SignatureError], None] | None = None,
) -> AsyncIterator[Message]:
    """Every proved message that arrives until the link is closed; for one consumer. Cleared topics say nothing.

    Args:
        link: where they arrive.
        key_for: the key that must have signed a message; None when nobody may say it.
        on_rejected: told topic and error of each payload that is dropped.
    """
    async for topic, payload in link.messages():
        if not payload:
            continue
        try:
            message = open_payload(topic, payload, key_for)
        except (MessageError, SignatureError) as error:
            _logger.debug("message dropped: %s", error)
            if on_rejected is not None:
                on_rejected(topic, error)
            continue
        yield message


def sender_of(topic: str) -> str | None:
    """The receiver id in whose name a message on this topic speaks; None for any other topic."""
    match = _RECEIVER_TOPIC.match(topic)
    return None if match is None else match[1]
