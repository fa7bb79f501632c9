"""The MQTT messages: typed structs in JSON, and the topics they travel on.

    slatecast/v1/sessions/{tsi}/announcement      Announcement, retained while the session lasts
    slatecast/v1/sessions/{tsi}/status            SessionStatus, twice a second
    slatecast/v1/receivers/{receiver_id}/presence Presence, retained, also the last will
    slatecast/v1/receivers/{receiver_id}/report   ReceiverReport, twice a second while in a session
    slatecast/v1/receivers/{receiver_id}/repair   RepairRequest, when blocks fall short
    slatecast/v1/receivers/{receiver_id}/missing  MissingBlocks, when the receiver knows what its disk lacks
    slatecast/v1/receivers/{receiver_id}/certificate  SignedCertificate, retained, when its disk is verified
    slatecast/v1/receivers/{receiver_id}/ticket   SignedTicket, the only one that the broadcaster says there

The broker may lose, delay, duplicate or reorder any of them, so each says a whole truth and supersedes the earlier
one of its sender by ``sequence``; nothing is a difference. Every decoder here takes any bytes and raises nothing but
MessageError; lengths and counts are bounded (``fields``), because a peer may be hostile. The layouts are in
docs/protocol.md.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from protocol import PROTOCOL_VERSION
from protocol.errors import MessageError
from protocol.fields import (
    MAX_MESSAGE_LENGTH,
    MAX_REPAIR_ENTRIES,
    MAX_SEATS,
    Bitmap,
    BitmapBlocks,
    BlockNumber,
    Count,
    Digest,
    EsiBitmap,
    Key,
    LongText,
    Nonce,
    Ratio,
    ReceiverId,
    ShortText,
    Signature,
    SignedBytes,
    SymbolCount,
    Toi,
    Tsi,
    printable,
)
from protocol.firmware import Firmware
from protocol.manifest import CHUNK_SIZE
from protocol.wire import ENCODING_SYMBOL_LENGTH, MAX_REPAIR_SYMBOLS, MAX_SOURCE_BLOCK_LENGTH

TOPIC_ROOT: Final = f"slatecast/v{PROTOCOL_VERSION}"
Shown = TypeVar("Shown", bound=msgspec.Struct)


class SessionPhase(StrEnum):
    """What the broadcaster is doing; it only moves downwards in this list."""

    WAITING = "waiting"
    MANIFEST = "manifest"
    DISK = "disk"
    ENDED = "ended"


class ReceiverState(StrEnum):
    """What a receiver is doing in a session; the last four are final."""

    PLANNED = "planned"
    """it looks at its disk and touches nothing: its ticket does not allow it to write"""
    ARMING = "arming"
    READY = "ready"
    RECEIVING = "receiving"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    REFUSED = "refused"
    FAILED = "failed"
    DAMAGED = "damaged"

    @property
    def is_final(self) -> bool:
        """Whether the receiver does nothing more in this session."""
        return self in _FINAL


_FINAL: Final = frozenset({ReceiverState.VERIFIED, ReceiverState.REFUSED, ReceiverState.FAILED, ReceiverState.DAMAGED})


class FecOti(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """FEC object transmission information (RFC 5052 section 5.1), the same for both objects of a session."""

    encoding_symbol_length: Annotated[int, msgspec.Meta(ge=8, le=8192)] = ENCODING_SYMBOL_LENGTH
    """bytes"""
    maximum_source_block_length: Annotated[int, msgspec.Meta(ge=1, le=191)] = MAX_SOURCE_BLOCK_LENGTH
    """symbols"""
    max_repair_symbols: Annotated[int, msgspec.Meta(ge=1, le=64)] = MAX_REPAIR_SYMBOLS
    """symbols"""


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a receiver must know of an image to judge its target before the manifest has arrived."""

    name: ShortText
    version: Count
    disk_size: Count
    """bytes"""
    logical_sector_size: Count
    """bytes"""
    stored_bytes: Count
    """bytes of all stored chunks"""
    firmware: Firmware = Firmware.UNKNOWN
    """by which its disk boots"""
    least_size: Count = 0
    """estimated bytes of the smallest disk that it goes onto once it is made smaller; 0 if nobody has estimated it"""


class Announcement(msgspec.Struct, frozen=True, kw_only=True, tag="announcement", forbid_unknown_fields=True):
    """A session exists: where it is sent, how it is coded, and what object 0 must hash to."""

    protocol_version: Count
    tsi: Tsi
    image: ImageSummary
    group: ShortText
    """multicast address, IPv4 or IPv6"""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    source: ShortText
    """address that the datagrams come from, IPv4 or IPv6; junk of others is dropped in the kernel"""
    oti: FecOti
    manifest_digest: Digest
    image_key: Key
    """Ed25519 key that signed the manifest's digest"""
    image_signature: Signature
    manifest_length: Count
    """bytes of object 0"""
    manifest_block_digests: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=2048)]
    """one per 256 KiB of object 0, in order"""
    catch_up_url: ShortText
    """where a seat on the catch-up lane fetches blocks by HTTPS; empty when there is no such lane"""

    def __post_init__(self) -> None:
        """Stops a hostile announcement from making a receiver reserve what no digest vouches for."""
        if len(self.manifest_block_digests) != -(-self.manifest_length // CHUNK_SIZE):
            raise ValueError(
                f"{len(self.manifest_block_digests)} digests for a manifest of {self.manifest_length} bytes"
            )


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True, tag="status", forbid_unknown_fields=True):
    """How far the broadcaster is; a receiver asks only for blocks below ``position``.

    The upper half of ``sequence`` counts the starts of the broadcaster, so that one that resumes is never out of date.
    """

    tsi: Tsi
    sequence: Count
    phase: SessionPhase
    position: BlockNumber
    """all blocks of the phase's object below it have left in the first pass, were not wanted, or come in the second"""
    rate_bits_per_second: Count
    rate_reason: LongText
    datagrams_sent: Count
    repair_datagrams: Count
    settled: Annotated[tuple[ReceiverId, ...], msgspec.Meta(max_length=MAX_SEATS)]
    """receivers whose final report has arrived: they may leave"""
    catch_up: Annotated[tuple[ReceiverId, ...], msgspec.Meta(max_length=MAX_SEATS)]
    """receivers that fetch what they miss from the catch-up lane"""
    must_leave_group: Annotated[tuple[ReceiverId, ...], msgspec.Meta(max_length=MAX_SEATS)]
    """of these, the ones whose link the multicast would only flood"""
    is_paused: bool
    """nothing is sent until the operator continues: wait, and ask for nothing"""
    dismissed: Annotated[tuple[ReceiverId, ...], msgspec.Meta(max_length=MAX_SEATS)]
    """receivers that the operator has stopped and whose final report is not here: they stop at once"""


class Presence(msgspec.Struct, frozen=True, kw_only=True, tag="presence", forbid_unknown_fields=True):
    """A receiver is there, or its last will says that it is not; and the proof that it was let in."""

    receiver_id: ReceiverId
    """fingerprint of ``identity_key``"""
    machine: ShortText
    """stable name of the PC, as it claims: the MAC address of its interface, or what it was given"""
    seat: ShortText
    is_online: bool
    identity_key: Key
    """Ed25519, drawn when the receiver started"""
    sealing_key: Key
    """X25519, drawn when the receiver started"""
    boot_nonce: Nonce
    admission: Signature
    """of the director over both keys and the nonce"""
    metrics: ShortText
    """address:port of its Prometheus exporter, as it claims; empty when it has none"""


class ReceiverReport(msgspec.Struct, frozen=True, kw_only=True, tag="report", forbid_unknown_fields=True):
    """Everything that an operator wants to know of one seat in one session; counters only grow."""

    tsi: Tsi
    receiver_id: ReceiverId
    seat: ShortText
    sequence: Count
    state: ReceiverState
    reason: LongText
    """why it waits, was refused or failed; empty when all is well"""
    target: ShortText
    has_manifest: bool
    blocks_total: Count
    """blocks of object 1, 0 while the manifest is not there"""
    blocks_missing: Count
    blocks_to_scan: Count
    """blocks that the disk is searched for before anything is asked for, 0 when it is not"""
    blocks_scanned: Count
    """of these, the ones that have been looked at; equal when the scan is over"""
    has_scanned: bool
    """what the disk lacks is known"""
    bytes_received: Count
    """UDP payload bytes of this session that came by multicast, duplicates included"""
    catch_up_bytes: Count
    """bytes that came by the catch-up lane"""
    symbols_expected: Count
    """source symbols of the blocks that the first pass has gone by"""
    symbols_lost: Count
    """of these, the ones that did not arrive in the first pass"""
    blocks_repaired: Count
    """blocks rebuilt with the help of repair symbols or re-sent source symbols"""
    buffer_drops: Count
    """datagrams that the receive buffer of the kernel had no room for"""
    blocks_without_room: Count
    """blocks that passed by while the memory for blocks was full; they do not count as lost"""
    buffer_fill_ratio: Ratio
    """share of the memory for blocks that waits to be decoded and written, or of the kernel's receive buffer since the
    last report if that is more"""
    partial_fill_ratio: Ratio
    """share of the memory for blocks that blocks hold which arrived in part"""
    backlog_bytes: Count
    """bytes of blocks held in memory"""
    bytes_written: Count
    """raw bytes that the disk has taken"""
    disk_busy_ratio: Ratio
    """share of the time since the last report in which the disk was writing"""
    link_bits_per_second: Count
    """speed of the receiver's interface, 0 when it does not tell"""
    bytes_to_verify: Count
    """bytes that read-back goes over, 0 before it begins"""
    bytes_verified: Count
    """of these, the ones that it has gone over"""
    datagrams_rejected: Count
    """datagrams of the session without a good tag: damaged on the way, or forged by somebody without the secret"""
    poisoned_blocks: Count
    """times that a block came whole and was not as announced"""
    poisoned_symbols: Count
    """symbols with a good tag that were found false by their digests, and dropped"""
    alarm: LongText
    """in words, when somebody seems to attack the session; empty when all is well"""


class RepairRequest(msgspec.Struct, frozen=True, kw_only=True, tag="repair", forbid_unknown_fields=True):
    """A NACK by count (RFC 5740 section 5.3): how many symbols each block is short, which ones only if that matters."""

    tsi: Tsi
    receiver_id: ReceiverId
    sequence: Count
    toi: Toi
    deficits: Annotated[tuple[tuple[BlockNumber, SymbolCount], ...], msgspec.Meta(max_length=MAX_REPAIR_ENTRIES)]
    """(sbn, symbols short) of blocks that arrived in part"""
    absent: Annotated[tuple[tuple[BlockNumber, BlockNumber], ...], msgspec.Meta(max_length=MAX_REPAIR_ENTRIES)]
    """(first sbn, last sbn), both included, of blocks of which nothing is there"""
    missing_symbols: Annotated[tuple[tuple[BlockNumber, EsiBitmap], ...], msgspec.Meta(max_length=MAX_REPAIR_ENTRIES)]
    """(sbn, absent source symbols) of blocks whose fresh repair symbols may be used up; bit i of the little-endian
    number for esi i"""


class MissingBlocks(msgspec.Struct, frozen=True, kw_only=True, tag="missing", forbid_unknown_fields=True):
    """What a receiver misses of object 1, in part or whole: a disk of more than MAX_BITMAP_BLOCKS takes several."""

    tsi: Tsi
    receiver_id: ReceiverId
    sequence: Count
    first_sbn: BlockNumber
    block_count: BitmapBlocks
    bitmap: Bitmap
    """one bit a block, deflated; see protocol.bitmap"""


class SignedTicket(msgspec.Struct, frozen=True, kw_only=True, tag="ticket", forbid_unknown_fields=True):
    """The order to one receiver to overwrite its disk; see protocol.ticket for what is inside and how it is judged."""

    tsi: Tsi
    receiver_id: ReceiverId
    ticket: SignedBytes
    """JSON of protocol.ticket.Ticket"""
    signature: Signature
    """of the director over ``ticket``"""


class SignedCertificate(msgspec.Struct, frozen=True, kw_only=True, tag="certificate", forbid_unknown_fields=True):
    """A receiver's word that its disk was read back and is the image; see protocol.certificate."""

    tsi: Tsi
    receiver_id: ReceiverId
    certificate: SignedBytes
    """JSON of protocol.certificate.Certificate"""
    signature: Signature
    """of the receiver's identity key over ``certificate``"""


ReceiverMessage = Presence | ReceiverReport | RepairRequest | MissingBlocks | SignedCertificate
BroadcasterMessage = Announcement | SessionStatus | SignedTicket
Message = ReceiverMessage | BroadcasterMessage

_TOPIC: Final = re.compile(
    rf"{TOPIC_ROOT}/(?:sessions/(?P<tsi>[0-9a-f]{{16}})/(?P<down>announcement|status)"
    r"|receivers/(?P<receiver_id>[0-9a-f]{32})/(?P<up>presence|report|repair|missing|certificate|ticket))"
)
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "announcement": msgspec.json.Decoder(Announcement),
    "status": msgspec.json.Decoder(SessionStatus),
    "presence": msgspec.json.Decoder(Presence),
    "report": msgspec.json.Decoder(ReceiverReport),
    "repair": msgspec.json.Decoder(RepairRequest),
    "missing": msgspec.json.Decoder(MissingBlocks),
    "certificate": msgspec.json.Decoder(SignedCertificate),
    "ticket": msgspec.json.Decoder(SignedTicket),
}
_LEAVES: Final[dict[type, str]] = {
    Announcement: "announcement",
    SessionStatus: "status",
    Presence: "presence",
    ReceiverReport: "report",
    RepairRequest: "repair",
    MissingBlocks: "missing",
    SignedCertificate: "certificate",
    SignedTicket: "ticket",
}

ALL_SESSIONS: Final = f"{TOPIC_ROOT}/sessions/+/#"
"""Topic filter of everything that broadcasters say."""

ALL_RECEIVERS: Final = f"{TOPIC_ROOT}/receivers/+/#"
"""Topic filter of everything that receivers say."""


def topic_of(message: Message) -> str:
    """The topic on which ``message`` travels."""
    leaf = _LEAVES[type(message)]
    if isinstance(message, Announcement | SessionStatus):
        return f"{TOPIC_ROOT}/sessions/{message.tsi}/{leaf}"
    return f"{TOPIC_ROOT}/receivers/{message.receiver_id}/{leaf}"


def ticket_topic(receiver_id: str) -> str:
    """The topic on which a receiver is given its tickets."""
    return f"{TOPIC_ROOT}/receivers/{receiver_id}/ticket"


def announcement_topic(tsi: str) -> str:
    """The topic whose retained announcement is cleared with an empty payload when a session ends."""
    return f"{TOPIC_ROOT}/sessions/{tsi}/announcement"


def encode_message(message: Message) -> bytes:
    """The JSON payload of ``message``."""
    return msgspec.json.encode(message)


def decode_message(topic: str, payload: bytes) -> Message:
    """Read a payload of any origin; what its texts hold that cannot be printed arrives as UNPRINTABLE.

    Raises:
        MessageError: unknown topic, not the JSON of its struct, out of bounds, or speaking for somebody else.
    """
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise MessageError("topic is not one of slatecast's")
    if len(payload) > MAX_MESSAGE_LENGTH:
        raise MessageError(f"payload of {len(payload)} bytes is over {MAX_MESSAGE_LENGTH}")
    leaf = match["up"] or match["down"]
    try:
        message: Message = _DECODERS[leaf].decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{leaf}: {error}") from error
    if isinstance(message, Announcement | SessionStatus):
        if message.tsi != match["tsi"]:
            raise MessageError(f"{leaf}: speaks of another session than its topic")
    elif message.receiver_id != match["receiver_id"]:
        raise MessageError(f"{leaf}: speaks for another receiver than its topic")
    return _printable(message)


def _printable(value: Shown) -> Shown:
    """Texts end on an operator's terminal and in logs: no control sequence, no line of its own, no turned reading."""
    changes: dict[str, object] = {}
    for name in value.__struct_fields__:
        field = getattr(value, name)
        if isinstance(field, msgspec.Struct):
            changes[name] = _printable(field)
        elif isinstance(field, str) and not field.isprintable():
            changes[name] = printable(field)
    return msgspec.structs.replace(value, **changes) if changes else value
