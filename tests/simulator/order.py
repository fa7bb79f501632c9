"""What the tickets of a simulated session would tell."""

import hashlib

import msgspec

from protocol.messages import SignedTicket
from protocol.ticket import DiskPolicy, Ticket


def session_secret(tsi: str) -> bytes:
    """32 bytes that only a ticket would tell; tickets are proved elsewhere, so here both sides know them."""
    return hashlib.sha256(b"simulated session " + tsi.encode()).digest()


def ticket(*, may_write: bool) -> Ticket:
    """What a ticket says; how it is judged is tested elsewhere."""
    return Ticket(
        tsi="0" * 16,
        receiver_key=bytes(32),
        boot_nonce=bytes(16),
        announcement_digest=bytes(32),
        manifest_digest=bytes(32),
        disk=DiskPolicy(min_size=0, logical_sector_size=0),
        may_write=may_write,
        sealed_secret=bytes(80),
    )


def signed(tsi: str, receiver_id: str, *, may_write: bool) -> SignedTicket:
    """The message that carries it."""
    body = msgspec.json.encode(ticket(may_write=may_write))
    return SignedTicket(tsi=tsi, receiver_id=receiver_id, ticket=body, signature=bytes(64))
