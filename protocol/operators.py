"""What a broadcaster tells operators: its own state, who is there, its images, and each session with every seat.

    slatecast/v1/operators/host                      HostNews, once a second and when something changes
    slatecast/v1/operators/receivers/{page}          ReceiversNews, the same
    slatecast/v1/operators/images/{page}             ImagesNews, when the library changes and every ten seconds
    slatecast/v1/operators/captures/{page}           CapturesNews, the same
    slatecast/v1/operators/sessions/{tsi}            SessionNews, once a second while a session is open, then once more
    slatecast/v1/operators/sessions/{tsi}/{page}     SeatsNews, the same

All are signed by the director and nothing is retained, so whoever hears one knows that it is fresh. Receivers may hear
none of them. The broadcaster has proved and judged what receivers say; an operator's picture is made of its word alone,
so that a console has one voice to believe, and a thousand seats cost it a dozen messages a second. A list that does not
fit one message is split into pages of PAGE_LENGTH; each says how many there are.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from protocol.capture import CaptureStep
from protocol.envelope import open_body, signed_body
from protocol.errors import MessageError
from protocol.fields import (
    MAX_MESSAGE_LENGTH,
    MAX_SEATS,
    BlockNumber,
    Count,
    LongText,
    Ratio,
    ReceiverId,
    ShortText,
    Tsi,
)
from protocol.firmware import Firmware
from protocol.messages import TOPIC_ROOT, SessionPhase
from protocol.seat_api import CaptureId
from protocol.signing import SigningKey

PAGE_LENGTH: Final = 100
"""[entries] of one page: 100 seats with full reasons are under 128 KiB of JSON."""

MAX_PAGES: Final = -(-MAX_SEATS // PAGE_LENGTH)
MAX_HAPPENINGS: Final = 60
"""[entries] of one SessionNews: the newest; older ones are in the report and in the history."""

MAX_APPLICANTS: Final = 128
"""[receivers] that wait for the operator, in one HostNews; the others come when these are settled."""

OPERATORS_ROOT: Final = f"{TOPIC_ROOT}/operators"

Generation = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Page = Annotated[int, msgspec.Meta(ge=0, lt=MAX_PAGES)]
Pages = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGES)]
UnixTime = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
SignedSeconds = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
TsiOrNone = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16})?\Z")]


class Severity(StrEnum):
    """How much an operator should care."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


class Happening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happened, in one sentence for an operator."""

    at: UnixTime
    severity: Severity
    text: LongText
    receiver_id: ReceiverId | None = None
    """of the seat that it is about"""


class ApplicantNews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver that waits to be let in."""

    receiver_id: ReceiverId
    seat: ShortText
    """as it calls itself"""
    address: ShortText
    words: ShortText
    """that stand on its screen as well"""
    waiting_seconds: Seconds


class HostNews(msgspec.Struct, frozen=True, kw_only=True, tag="host", forbid_unknown_fields=True):
    """The broadcaster itself."""

    generation: Generation
    """drawn at its start; commands name it"""
    sequence: Count
    version: ShortText
    """of the program"""
    at: UnixTime
    started_at: UnixTime
    interface: ShortText
    address: ShortText
    """IPv4 or IPv6 address of the interface"""
    front_door: ShortText
    """host:port where receivers enrol"""
    broker: ShortText
    """URL without a password"""
    link_bits_per_second: Count
    """speed of the interface, 0 when it does not tell"""
    is_link_up: bool
    library_path: LongText
    library_bytes_free: Count
    library_bytes_total: Count
    sessions: Annotated[tuple[Tsi, ...], msgspec.Meta(max_length=256)]
    """that are open"""
    receiver_count: Count
    """admitted and there"""
    applicants: Annotated[tuple[ApplicantNews, ...], msgspec.Meta(max_length=MAX_APPLICANTS)]
    configurations: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=256)]
    """names of those that a session can be planned with"""
    can_boot: bool
    """a netboot part serves its boot orders"""
    warnings: Annotated[tuple[LongText, ...], msgspec.Meta(max_length=32)]
    """what an operator should mend, one sentence each"""


class ReceiverNews(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An admitted receiver that is there."""

    receiver_id: ReceiverId
    machine: ShortText
    """stable name of the PC: the MAC address of its interface, or what it was given"""
    seat: ShortText
    """as it calls itself"""
    session: TsiOrNone
    """tsi of the session that it takes part in, or empty"""
    metrics: ShortText
    """address:port of its Prometheus exporter, as it claims; empty when it has none"""


class ReceiversNews(msgspec.Struct, frozen=True, kw_only=True, tag="receivers", forbid_unknown_fields=True):
    """One page of the admitted receivers that are there."""

    generation: Generation
    sequence: Count
    page: Page
    pages: Pages
    receivers: Annotated[tuple[ReceiverNews, ...], msgspec.Meta(max_length=PAGE_LENGTH)]


class ImageNews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of one image in the library."""

    name: ShortText
    version: Count
    created: ShortText
    """ISO 8601, UTC"""
    disk_size: Count
    """bytes"""
    stored_bytes: Count
    """bytes of all its stored chunks, whether other images share them or not"""
    is_signed: bool
    """by a key that this room knows"""
    sessions: Annotated[tuple[Tsi, ...], msgspec.Meta(max_length=16)]
    """that use it now"""
    firmware: Firmware = Firmware.UNKNOWN
    """by which its disk boots"""
    least_size: Count = 0
    """estimated bytes of the smallest disk that it goes onto once it is made smaller; 0 if nobody has estimated it"""


class ImagesNews(msgspec.Struct, frozen=True, kw_only=True, tag="images", forbid_unknown_fields=True):
    """One page of the library, names in order, the newest version of each first."""

    generation: Generation
    sequence: Count
    page: Page
    pages: Pages
    images: Annotated[tuple[ImageNews, ...], msgspec.Meta(max_length=PAGE_LENGTH)]


class CaptureNews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One capture: open, or ended a short while ago."""

    capture_id: CaptureId
    receiver_id: ReceiverId
    machine: ShortText
    seat: ShortText
    image: ShortText
    is_backup: bool
    step: CaptureStep
    target: ShortText
    disk_size: Count
    """bytes; 0 before it is known"""
    ordered_by: ShortText
    """user name; empty when somebody asked for it at the machine"""
    began_at: UnixTime
    done: Ratio
    read_bytes: Count
    sent_bytes: Count
    version: Count
    """of the image, once it is done"""
    findings: Annotated[int, msgspec.Meta(ge=0, le=64)]
    """how many; FetchFindings tells them"""
    reason: LongText
    """why it was refused or failed, or the first finding"""


class CapturesNews(msgspec.Struct, frozen=True, kw_only=True, tag="captures", forbid_unknown_fields=True):
    """One page of the captures, in the order in which they were asked for."""

    generation: Generation
    sequence: Count
    page: Page
    pages: Pages
    captures: Annotated[tuple[CaptureNews, ...], msgspec.Meta(max_length=PAGE_LENGTH)]


class SessionStep(StrEnum):
    """Where a session stands for an operator."""

    PLANNED = "planned"
    """receivers look at their disks; nothing is written before an operator starts it"""
    WAITING = "waiting"
    """for seats, countdowns or scans"""
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class SessionNews(msgspec.Struct, frozen=True, kw_only=True, tag="session", forbid_unknown_fields=True):
    """One session as a whole."""

    generation: Generation
    tsi: Tsi
    sequence: Count
    room: ShortText
    image: ShortText
    version: Count
    disk_size: Count
    """bytes"""
    stored_bytes: Count
    """bytes of all stored chunks of the image"""
    block_count: Count
    ordered_by: ShortText
    """user name of the operator"""
    opened_at: UnixTime
    step: SessionStep
    phase: SessionPhase
    position: BlockNumber
    elapsed_seconds: Seconds
    """since sending began, earlier runs included; 0 before"""
    rate_bits_per_second: Count
    cap_bits_per_second: Count
    """the rate never goes beyond it"""
    rate_reason: LongText
    bytes_on_wire: Count
    """UDP payload bytes to the group"""
    catch_up_bytes: Count
    datagrams_sent: Count
    repair_datagrams: Count
    expected_seats: Count
    pages: Pages
    """of SeatsNews"""
    end_reason: LongText
    happenings: Annotated[tuple[Happening, ...], msgspec.Meta(max_length=MAX_HAPPENINGS)]
    """newest last"""
    backs_up: bool
    """the disk of each seat is captured before it is overwritten; a plan cannot be started before that is done"""


class SeatNews(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One receiver in a session: what it last reported, and how the broadcaster judges it."""

    receiver_id: ReceiverId
    machine: ShortText
    seat: ShortText
    outcome: ShortText
    """a ReceiverState, or lost, stalled, incomplete, absent, aborted"""
    reason: LongText
    """why it waits, is slow, was refused or failed; empty when all is well"""
    is_on_catch_up: bool
    target: ShortText
    """the disk that is, or would be, overwritten"""
    silent_seconds: Seconds
    """since it was last heard"""
    settled_seconds: SignedSeconds
    """from the start of sending to its final report; negative before that"""
    has_scanned: bool
    blocks_total: Count
    blocks_missing: Count
    blocks_to_scan: Count
    blocks_scanned: Count
    bytes_received: Count
    catch_up_bytes: Count
    symbols_expected: Count
    symbols_lost: Count
    blocks_repaired: Count
    buffer_drops: Count
    buffer_fill_ratio: Ratio
    bytes_written: Count
    disk_busy_ratio: Ratio
    link_bits_per_second: Count
    bytes_to_verify: Count
    bytes_verified: Count
    datagrams_rejected: Count
    poisoned_symbols: Count
    alarm: LongText


class SeatsNews(msgspec.Struct, frozen=True, kw_only=True, tag="seats", forbid_unknown_fields=True):
    """One page of the seats of a session, in the order in which they came."""

    generation: Generation
    tsi: Tsi
    sequence: Count
    page: Page
    seats: Annotated[tuple[SeatNews, ...], msgspec.Meta(max_length=PAGE_LENGTH)]


News = HostNews | ReceiversNews | ImagesNews | CapturesNews | SessionNews | SeatsNews

ALL_NEWS: Final = (
    f"{OPERATORS_ROOT}/host",
    f"{OPERATORS_ROOT}/receivers/+",
    f"{OPERATORS_ROOT}/images/+",
    f"{OPERATORS_ROOT}/captures/+",
    f"{OPERATORS_ROOT}/sessions/#",
)
"""Topic filters of everything that is told here."""

_TOPIC: Final = re.compile(
    rf"{OPERATORS_ROOT}/(?:(?P<host>host)|receivers/(?P<receivers>\d{{1,3}})|images/(?P<images>\d{{1,3}})|captures/(?P<captures>\d{{1,3}})"
    r"|sessions/(?P<tsi>[0-9a-f]{16})(?:/(?P<seats>\d{1,3}))?)"
)
_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(News)


def news_topic(news: News) -> str:
    """The topic on which ``news`` travels."""
    match news:
        case HostNews():
            return f"{OPERATORS_ROOT}/host"
        case ReceiversNews():
            return f"{OPERATORS_ROOT}/receivers/{news.page}"
        case ImagesNews():
            return f"{OPERATORS_ROOT}/images/{news.page}"
        case CapturesNews():
            return f"{OPERATORS_ROOT}/captures/{news.page}"
        case SessionNews():
            return f"{OPERATORS_ROOT}/sessions/{news.tsi}"
        case SeatsNews():
            return f"{OPERATORS_ROOT}/sessions/{news.tsi}/{news.page}"


def signed_news(news: News, director: SigningKey) -> bytes:
    """The payload to publish on ``news_topic(news)``."""
    return signed_body(news_topic(news), msgspec.json.encode(news), director)


def open_news(topic: str, payload: bytes, director_key: bytes) -> News:
    """The news in a payload of any origin, once it is proved that the director said it.

    Texts are what receivers and operators wrote: hostile to any display that interprets them.

    Raises:
        SignatureError: the director did not say it.
        MessageError: no such topic, not the JSON of its struct, out of bounds, or not of this topic.
    """
    if _TOPIC.fullmatch(topic) is None:
        raise MessageError("topic is not one of an operator's")
    if len(payload) > MAX_MESSAGE_LENGTH:
        raise MessageError(f"payload of {len(payload)} bytes is over {MAX_MESSAGE_LENGTH}")
    body = open_body(topic, payload, director_key)
    try:
        news: News = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"news: {error}") from error
    if news_topic(news) != topic:
        raise MessageError(f"{type(news).__name__}: on the topic of another")
    return news
