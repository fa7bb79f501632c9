"""Enrolment: what a receiver and a broadcaster that know nothing of each other say first, by HTTPS.

    POST /v1/enrolment                 Hello    -> Offer
    POST /v1/enrolment/{receiver_id}   Confirm  -> Verdict, the same Confirm once a second while it is pending

Whoever answers is talked to; what it says is believed only when one of three things proves it: the token, a trust that
the receiver knew before, or a person who compares words. All three are over the transcript, which holds both opening
messages byte for byte and the TLS certificate that each side sees, so two exchanges with somebody in between have two
transcripts. Both identities are proved over it as well: the receiver's key signs it in Confirm, the director's in
Verdict. Nothing here is secret. Every decoder takes any bytes and raises nothing but MessageError.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec

from protocol import PROTOCOL_VERSION, signing
from protocol.errors import MessageError
from protocol.fields import Digest, Key, Nonce, Signature, printable
from protocol.pairing import PAIRING_MESSAGE_LENGTH, PROOF_LENGTH, RANDOM_LENGTH
from protocol.signing import SIGNATURE_LENGTH, Purpose, SigningKey
from protocol.ticket import ReceiverKeys
from protocol.trust import Trust, decode_trust, encode_trust

ENROLMENT_PATH: Final = f"/v{PROTOCOL_VERSION}/enrolment"
"""Hello goes here, Confirm to ``confirm_path``."""

MAX_REQUEST_LENGTH: Final = 8 * 1024
"""[bytes] of a Hello or Confirm; ours have under 700."""

MAX_ANSWER_LENGTH: Final = 48 * 1024
"""[bytes] of an Offer or Verdict: the longest trust, a certificate, and the rest; ours have under 4,000."""

MAX_PEM_LENGTH: Final = 8 * 1024
"""[characters] of one certificate; ours have under 1,000."""

MAX_SEAT_LENGTH: Final = 64
"""[characters] as in the other messages"""

_TRANSCRIPT: Final = b"slatecast enrolment v1"
_RECEIVER: Final = b"receiver"
_DIRECTOR: Final = b"director"

Random = Annotated[bytes, msgspec.Meta(min_length=RANDOM_LENGTH, max_length=RANDOM_LENGTH)]
PairingMessage = Annotated[bytes, msgspec.Meta(max_length=PAIRING_MESSAGE_LENGTH)]
Proof = Annotated[bytes, msgspec.Meta(max_length=PROOF_LENGTH)]
Pem = Annotated[str, msgspec.Meta(max_length=MAX_PEM_LENGTH)]
Seat = Annotated[str, msgspec.Meta(max_length=MAX_SEAT_LENGTH)]
BrokerUrl = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^mqtts?://[!-?A-~]+\Z")]
SeatApiUrl = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^(https://[0-9A-Fa-f.:\[\]]+)?\Z")]
OptionalSignature = Annotated[bytes, msgspec.Meta(max_length=SIGNATURE_LENGTH)]


class VerdictState(StrEnum):
    """What the broadcaster has decided."""

    PENDING = "pending"
    REFUSED = "refused"
    ADMITTED = "admitted"


class Refusal(StrEnum):
    """Why a receiver was refused; the receiver makes the text, so that a stranger's does not reach its screen."""

    NONE = ""
    TOKEN = "token"
    """its token is not the broadcaster's"""
    OPERATOR = "operator"


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", forbid_unknown_fields=True):
    """A receiver asks to be let in."""

    identity_key: Key
    """Ed25519, drawn when the receiver started"""
    sealing_key: Key
    """X25519, drawn when the receiver started"""
    boot_nonce: Nonce
    seat: Seat
    commitment: Digest
    """to the random number of Confirm; see protocol.pairing.commitment_to"""
    pairing: PairingMessage
    """of a receiver that was given a token, else empty"""

    def __post_init__(self) -> None:
        _check_empty_or(self.pairing, PAIRING_MESSAGE_LENGTH, "pairing message")

    @property
    def keys(self) -> ReceiverKeys:
        """What an admission is about."""
        return ReceiverKeys(identity_key=self.identity_key, sealing_key=self.sealing_key, boot_nonce=self.boot_nonce)


class Offer(msgspec.Struct, frozen=True, kw_only=True, tag="offer", forbid_unknown_fields=True):
    """What a broadcaster claims to be."""

    trust: Trust
    broker: BrokerUrl
    """mqtts://host:port or mqtt://host:port, without name or password"""
    broker_authority: Pem
    """of an mqtts broker; empty for the authorities of the system"""
    seat_api: SeatApiUrl
    """https://address:port of the seat API; empty where there is none"""
    broadcaster_random: Random
    pairing: PairingMessage
    """empty when the receiver sent none or no token is in use"""

    def __post_init__(self) -> None:
        _check_empty_or(self.pairing, PAIRING_MESSAGE_LENGTH, "pairing message")


class Confirm(msgspec.Struct, frozen=True, kw_only=True, tag="confirm", forbid_unknown_fields=True):
    """The receiver stands by the exchange."""

    receiver_random: Random
    """that Hello was committed to"""
    token_proof: Proof
    """see protocol.pairing.PairingKey; empty without a token"""
    signature: Signature
    """of the identity key over the transcript"""

    def __post_init__(self) -> None:
        _check_empty_or(self.token_proof, PROOF_LENGTH, "token proof")


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="verdict", forbid_unknown_fields=True):
    """What the broadcaster has decided so far."""

    state: VerdictState
    refusal: Refusal
    signature: Signature
    """of the director over the transcript"""
    token_proof: Proof
    """only for a receiver that proved the token itself"""
    admission: OptionalSignature
    """see protocol.admission; of an admitted receiver"""
    certificate: Pem
    """X.509, CN = receiver id, for broker and catch-up lane; of an admitted receiver"""

    def __post_init__(self) -> None:
        _check_empty_or(self.token_proof, PROOF_LENGTH, "token proof")
        _check_empty_or(self.admission, SIGNATURE_LENGTH, "admission")
        is_admitted = self.state is VerdictState.ADMITTED
        if bool(self.admission) != is_admitted or bool(self.certificate) != is_admitted:
            raise ValueError("admission and certificate belong to an admitted receiver")
        if (self.refusal is Refusal.NONE) == (self.state is VerdictState.REFUSED):
            raise ValueError("a refusal, and nothing else, has a reason")


EnrolmentMessage = Hello | Offer | Confirm | Verdict
Decoded = TypeVar("Decoded", bound=EnrolmentMessage)

_HELLO: Final = msgspec.json.Decoder(Hello)
_OFFER: Final = msgspec.json.Decoder(Offer)
_CONFIRM: Final = msgspec.json.Decoder(Confirm)
_VERDICT: Final = msgspec.json.Decoder(Verdict)


def confirm_path(receiver_id: str) -> str:
    """Where the receiver of this id sends its Confirm."""
    return f"{ENROLMENT_PATH}/{receiver_id}"


def encode(message: EnrolmentMessage) -> bytes:
    """The JSON that carries ``message``."""
    return msgspec.json.encode(message)


def decode_hello(body: bytes) -> Hello:
    """Read a request of any origin; what its seat holds that cannot be printed arrives as UNPRINTABLE.

    Raises:
        MessageError: not a Hello within its bounds.
    """
    hello = _decode(_HELLO, body, MAX_REQUEST_LENGTH, "hello")
    if hello.seat.isprintable():
        return hello
    seat = printable(hello.seat)
    return msgspec.structs.replace(hello, seat=seat)


def decode_offer(body: bytes) -> Offer:
    """Read an answer of any origin.

    Raises:
        MessageError: not an Offer within its bounds.
    """
    offer = _decode(_OFFER, body, MAX_ANSWER_LENGTH, "offer")
    decode_trust(encode_trust(offer.trust))  # what the struct alone cannot tell
    return offer


def decode_confirm(body: bytes) -> Confirm:
    """Read a request of any origin.

    Raises:
        MessageError: not a Confirm within its bounds.
    """
    return _decode(_CONFIRM, body, MAX_REQUEST_LENGTH, "confirm")


def decode_verdict(body: bytes) -> Verdict:
    """Read an answer of any origin.

    Raises:
        MessageError: not a Verdict within its bounds, or one that contradicts itself.
    """
    return _decode(_VERDICT, body, MAX_ANSWER_LENGTH, "verdict")


def transcript_of(hello: bytes, offer: bytes, leaf_digest: bytes) -> bytes:
    """32 bytes that two sides share only if both saw the same opening messages and the same certificate.

    Args:
        hello: the body of the first request, as it was sent.
        offer: the body of its answer, as it was sent.
        leaf_digest: SHA-256 of the TLS certificate of the side that answers, in DER.
    """
    parts = (_TRANSCRIPT, hello, offer, leaf_digest)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def sign_confirm(transcript: bytes, receiver_random: bytes, token_proof: bytes, identity: SigningKey) -> Confirm:
    """The receiver's second message."""
    signature = identity.sign(Purpose.PAIRING, _confirmed_bytes(transcript, receiver_random, token_proof))
    return Confirm(receiver_random=receiver_random, token_proof=token_proof, signature=signature)


def check_confirm(confirm: Confirm, transcript: bytes, identity_key: bytes) -> None:
    """Make sure that the holder of ``identity_key`` took part in this exchange, and saw our certificate.

    Raises:
        SignatureError: it did not.
    """
    message = _confirmed_bytes(transcript, confirm.receiver_random, confirm.token_proof)
    signing.verify(identity_key, Purpose.PAIRING, message, confirm.signature)


def sign_transcript(transcript: bytes, director: SigningKey) -> bytes:
    """What a Verdict carries to prove whose broadcaster it is."""
    return director.sign(Purpose.PAIRING, _DIRECTOR + transcript)


def check_verdict(verdict: Verdict, transcript: bytes, director_key: bytes) -> None:
    """Make sure that the director took part in this exchange: that its certificate is the one we talk to.

    Raises:
        SignatureError: it did not.
    """
    signing.verify(director_key, Purpose.PAIRING, _DIRECTOR + transcript, verdict.signature)


def _confirmed_bytes(transcript: bytes, receiver_random: bytes, token_proof: bytes) -> bytes:
    return _RECEIVER + transcript + receiver_random + token_proof


def _decode(decoder: msgspec.json.Decoder[Decoded], body: bytes, longest: int, name: str) -> Decoded:
    if len(body) > longest:
        raise MessageError(f"{name} of {len(body)} bytes is over {longest}")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{name}: {error}") from error


def _check_empty_or(value: bytes, length: int, what: str) -> None:
    if len(value) not in {0, length}:
        raise ValueError(f"{what} of {len(value)} bytes instead of {length}")
