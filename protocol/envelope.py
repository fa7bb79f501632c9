"""Signed MQTT payloads: the JSON of a message, a line feed, and a signature over topic and JSON in base64.

The broker is not trusted: what it alters, moves to another topic or invents is dropped here. What it holds back,
repeats or reorders is caught by the sequence numbers inside. One key speaks for all of a broadcaster (the director's),
and one for all of a receiver (its identity key, drawn at its start).
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final

from protocol import signing
from protocol.errors import SignatureError
from protocol.messages import Message, decode_message, encode_message, topic_of
from protocol.signing import Purpose, SigningKey

_SEPARATOR: Final = b"\n"
_ENCODED_LENGTH: Final = -(-signing.SIGNATURE_LENGTH // 3) * 4
OVERHEAD: Final = len(_SEPARATOR) + _ENCODED_LENGTH
"""[bytes] that a payload is longer than its message"""


def signed_payload(message: Message, key: SigningKey) -> bytes:
    """What is published on ``topic_of(message)``."""
    return signed_body(topic_of(message), encode_message(message), key)


def signed_body(topic: str, body: bytes, key: SigningKey) -> bytes:
    """The payload that says ``body`` on ``topic``."""
    signature = key.sign(Purpose.CONTROL, _signed_bytes(topic, body))
    return body + _SEPARATOR + base64.b64encode(signature)


def open_payload(topic: str, payload: bytes, key_for: Callable[[Message], bytes | None]) -> Message:
    """The message in a payload of any origin, once it is proved who said it.

    Args:
        topic: where it arrived.
        payload: any bytes.
        key_for: the Ed25519 key that must have signed this message; None when nobody may say it here.

    Raises:
        SignatureError: no signature, a wrong one, or nobody who may speak here: whose fault it is cannot be told.
        MessageError: not a message of this topic.
    """
    body, signature = _body_and_signature(payload)
    message = decode_message(topic, body)
    key = key_for(message)
    if key is None:
        raise SignatureError(f"{type(message).__name__} of somebody who was not admitted")
    signing.verify(key, Purpose.CONTROL, _signed_bytes(topic, body), signature)
    return message


def open_body(topic: str, payload: bytes, key: bytes) -> bytes:
    """The body in a payload of any origin, proved to be said on ``topic`` by the holder of ``key`` (Ed25519).

    Raises:
        SignatureError: no signature, or a wrong one.
    """
    body, signature = _body_and_signature(payload)
    signing.verify(key, Purpose.CONTROL, _signed_bytes(topic, body), signature)
    return body


def _body_and_signature(payload: bytes) -> tuple[bytes, bytes]:
    body, separator, encoded = payload[:-OVERHEAD], payload[-OVERHEAD:][:1], payload[-_ENCODED_LENGTH:]
    if not body or separator != _SEPARATOR:
        raise SignatureError("payload without a signature")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise SignatureError("payload without a signature") from None
    if base64.b64encode(signature) != encoded:  # bits that base64 does not use, which nothing else would prove
        raise SignatureError("payload without a signature")
    return body, signature


def _signed_bytes(topic: str, body: bytes) -> bytes:
    return topic.encode() + b"\0" + body
