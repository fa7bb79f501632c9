"""What arrives on the MQTT link as messages: the one place where a role meets the payloads of its peers.

It passes on what ``protocol.messages`` accepts and drops the rest, since a peer may be hostile or of another version.
"""

import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from protocol.errors import MessageError
from protocol.link.mqtt import MqttLink
from protocol.messages import TOPIC_ROOT, Message, decode_message

_RECEIVER_TOPIC: Final = re.compile(rf"{TOPIC_ROOT}/receivers/([0-9a-f]{{32}})/")

_logger = logging.getLogger(__name__)


async def received_messages(
    link: MqttLink, on_rejected: Callable[[str, MessageError], None] | None = None
) -> AsyncIterator[Message]:
    """Every message that arrives until the link is closed; for one consumer. Cleared retained topics say nothing.

    ``on_rejected`` is told topic and error of each payload that is dropped.
    """
    async for topic, payload in link.messages():
        if not payload:
            continue
        try:
            message = decode_message(topic, payload)
        except MessageError as error:
            _logger.debug("message dropped: %s", error)
            if on_rejected is not None:
                on_rejected(topic, error)
            continue
        yield message


def sender_of(topic: str) -> str | None:
    """The receiver id in whose name a message on this topic speaks; None for any other topic."""
    match = _RECEIVER_TOPIC.match(topic)
    return None if match is None else match[1]
