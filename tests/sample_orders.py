"""Keys, an announcement and tickets that belong together, for tests that change only what they are about.

Everything is drawn from fixed seeds but the sealed secrets, which HPKE makes anew each time.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from protocol.messages import Announcement, SignedTicket
from protocol.sealed_box import OpeningKey
from protocol.signing import Purpose, SigningKey
from protocol.ticket import Order, ReceiverKeys, Ticket, check_ticket, sign_ticket
from tests.sample_messages import announcement


def seed(name: str) -> bytes:
    return hashlib.sha256(f"sample {name}".encode()).digest()


DIRECTOR = SigningKey(seed("director"))
OTHER_DIRECTOR = SigningKey(seed("other director"))
IMAGE_KEY = SigningKey(seed("image key"))
SECOND_IMAGE_KEY = SigningKey(seed("second image key"))
OTHER_IMAGE_KEY = SigningKey(seed("other image key"))
IMAGE_KEYS = (IMAGE_KEY.public, SECOND_IMAGE_KEY.public)
SECRET = seed("session secret")


@dataclass(frozen=True)
class Seat:
    """What one receiver draws when it starts."""

    signing_key: SigningKey
    opening_key: OpeningKey
    keys: ReceiverKeys

    @classmethod
    def of(cls, name: str, boot: int = 1) -> "Seat":
        """``boot`` changes the nonce alone, as if a receiver had kept its keys."""
        signing_key, opening_key = SigningKey(seed(f"{name} signs")), OpeningKey(seed(f"{name} opens"))
        keys = ReceiverKeys(
            identity_key=signing_key.public,
            sealing_key=opening_key.public,
            boot_nonce=seed(f"{name} starts {boot}")[:16],
        )
        return cls(signing_key, opening_key, keys)


SEAT = Seat.of("seat")
OTHER_SEAT = Seat.of("other seat")


def signed_announcement(image_key: SigningKey = IMAGE_KEY, **changes: Any) -> Announcement:
    """Of an image that ``image_key`` has signed."""
    plain = announcement(**changes)
    return msgspec.structs.replace(
        plain, image_key=image_key.public, image_signature=image_key.sign(Purpose.IMAGE, plain.manifest_digest)
    )


def ticket_for(
    seat: Seat = SEAT,
    announced: Announcement | None = None,
    director: SigningKey = DIRECTOR,
    *,
    may_write: bool = True,
) -> SignedTicket:
    """A good one."""
    return sign_ticket(announced or signed_announcement(), seat.keys, SECRET, director, may_write=may_write)


def judge(signed: SignedTicket, announced: Announcement, seat: Seat = SEAT) -> Order:
    """What a receiver that trusts DIRECTOR and IMAGE_KEYS makes of it."""
    return check_ticket(
        signed,
        announced,
        receiver=seat.keys,
        opening_key=seat.opening_key,
        director_key=DIRECTOR.public,
        image_keys=IMAGE_KEYS,
    )


def inside(signed: SignedTicket) -> Ticket:
    """What the director has signed."""
    return msgspec.json.decode(signed.ticket, type=Ticket)
