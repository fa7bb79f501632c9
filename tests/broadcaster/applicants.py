"""Receivers that apply at a waiting room: their keys and messages, without sockets."""

import random

import msgspec

from broadcaster.waiting_room import Exchange
from protocol.enrolment import Confirm, Hello, Offer, encode, sign_confirm, transcript_of
from protocol.pairing import (
    BroadcasterPairing,
    ReceiverPairing,
    commitment_to,
    comparison_words,
)
from protocol.sealed_box import OpeningKey
from protocol.signing import SigningKey
from protocol.trust import Trust
from tests.vectors.make_enrolment import CERTIFICATE

TRUST = Trust(director_key=SigningKey(bytes(32)).public, image_keys=(bytes(range(32)),), authority=CERTIFICATE.encode())
LEAF_DIGEST = bytes(range(32))


class Candidate:
    """One start of a receiver; ``token`` is what somebody typed there, ``theirs`` what the broadcaster uses."""

    def __init__(
        self,
        number: int,
        *,
        seat: str = "",
        address: str | None = None,
        is_own: bool = False,
        token: str | None = None,
        theirs: str | None = None,
        exchange_number: int = 0,
        offered_at: float = 0.0,
    ) -> None:
        chance = random.Random(number)
        self.identity = SigningKey(chance.randbytes(32))
        opening_key, boot_nonce = OpeningKey(chance.randbytes(32)), chance.randbytes(16)
        chance = random.Random(number << 32 | exchange_number)
        self.random = chance.randbytes(32)
        ours = None if token is None else ReceiverPairing(token, chance.randbytes(64))
        self.hello = Hello(
            identity_key=self.identity.public,
            sealing_key=opening_key.public,
            boot_nonce=boot_nonce,
            seat=seat or f"seat-{number}",
            commitment=commitment_to(self.random),
            pairing=b"" if ours is None else ours.message,
        )
        pairing = None if ours is None or theirs is None else BroadcasterPairing(theirs, chance.randbytes(64))
        offer = Offer(
            trust=TRUST,
            broker="mqtts://10.0.0.1:8883",
            broker_authority="",
            seat_api="",
            broadcaster_random=chance.randbytes(32),
            pairing=b"" if pairing is None else pairing.message,
        )
        transcript = transcript_of(encode(self.hello), encode(offer), LEAF_DIGEST)
        self.exchange = Exchange(
            hello=self.hello,
            transcript=transcript,
            pairing=pairing,
            address=f"10.0.{number >> 8}.{number & 0xFF}" if address is None else address,
            is_own=is_own,
            offered_at=offered_at,
        )
        self.key = None if ours is None or pairing is None else ours.key(pairing.message)
        proof = b"" if self.key is None else self.key.receiver_proof(transcript)
        self.confirm = sign_confirm(transcript, self.random, proof, self.identity)
        self.words = comparison_words(transcript, self.random)

    @property
    def receiver_id(self) -> str:
        return self.hello.keys.receiver_id

    def confirm_with(self, **changes: bytes) -> Confirm:
        """The Confirm with something else in it that the signature does not cover."""
        return msgspec.structs.replace(self.confirm, **changes)
