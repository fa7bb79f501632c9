"""What the tickets of a simulated session would tell."""

import hashlib


def session_secret(tsi: str) -> bytes:
    """32 bytes that only a ticket would tell; tickets are proved elsewhere, so here both sides know them."""
    return hashlib.sha256(b"simulated session " + tsi.encode()).digest()
