"""What arrives on the MQTT link as messages: the one place where a role meets the payloads of its peers.

It passes on what ``protocol.messages`` accepts and drops the rest, since a peer may be hostile or of another version.
"""

import logging
from collections.abc import AsyncIterator

from protocol.errors import MessageError
from protocol.link.mqtt import MqttLink
from protocol.messages import Message, decode_message

_logger = logging.getLogger(__name__)


async def received_messages(link: MqttLink) -> AsyncIterator[Message]:
    """Every message that arrives until the link is closed; for one consumer. Cleared retained topics say nothing."""
    async for topic, payload in link.messages():
        if not payload:
            continue
        try:
            message = decode_message(topic, payload)
        except MessageError as error:
            _logger.debug("message dropped: %s", error)
            continue
        yield message
