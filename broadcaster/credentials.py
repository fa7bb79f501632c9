"""What proves one cast to its room: the keys and certificates that it speaks, serves and orders with."""

import ssl
from dataclasses import dataclass

from protocol.signing import SigningKey


@dataclass(frozen=True, slots=True)
class CastCredentials:
    """Made by the front door of the program from the key store; nothing here reads a file."""

    director: SigningKey
    """orders wipes, and signs everything that the broadcaster says"""
    image_key: bytes
    """32 bytes: the Ed25519 key that signed the image"""
    image_signature: bytes
    """64 bytes over the manifest's digest"""
    broker_tls: ssl.SSLContext | None
    """how the broker is reached; None without TLS"""
    lane_tls: ssl.SSLContext | None
    """how the catch-up lane is served; None without TLS, in tests only"""
