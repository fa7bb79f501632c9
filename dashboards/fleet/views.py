"""What an operator sees: plain values, ready to be shown, made anew for each look. Pure.

Every text that a receiver or an operator wrote is as it came, cleaned of control characters at most: whoever shows it
must not interpret it.
"""

from dataclasses import dataclass
from enum import StrEnum

from dashboards.fleet.capture_view import CaptureView
from protocol.operators import ApplicantNews, Happening, HostNews, ImageNews, SessionStep


class SeatState(StrEnum):
    """What a seat is doing; each has its own icon and word wherever it is shown."""

    EMPTY = "empty"
    """no machine is assigned to it"""
    OFF = "off"
    """its machine is not there"""
    IDLE = "idle"
    """its machine is there, and in no session"""
    PLANNED = "planned"
    """it has looked at its disk and waits for the start"""
    SCANNING = "scanning"
    ARMING = "arming"
    """counts down before its first write"""
    READY = "ready"
    RECEIVING = "receiving"
    CATCHING_UP = "catching up"
    """fetches by itself what it misses"""
    VERIFYING = "verifying"
    VERIFIED = "verified"
    REFUSED = "refused"
    FAILED = "failed"
    DAMAGED = "damaged"
    LOST = "lost"
    STALLED = "stalled"
    INCOMPLETE = "incomplete"
    ABORTED = "aborted"

    @property
    def is_trouble(self) -> bool:
        """Whether an operator should look."""
        return self in _TROUBLE

    @property
    def is_final(self) -> bool:
        """Whether the session does nothing more for it."""
        return self in _TROUBLE - {SeatState.LOST, SeatState.STALLED} or self is SeatState.VERIFIED


_TROUBLE = frozenset(
    {
        SeatState.REFUSED,
        SeatState.FAILED,
        SeatState.DAMAGED,
        SeatState.LOST,
        SeatState.STALLED,
        SeatState.INCOMPLETE,
        SeatState.ABORTED,
    }
)


@dataclass(frozen=True, slots=True)
class SeatView:
    """One seat of a room, or one receiver of a session that has no seat there."""

    name: str
    """of the seat in the room; what the receiver calls itself where it has none"""
    machine: str
    """stable name of the PC; empty for an empty seat"""
    receiver_id: str
    """of the PC's present run; empty when it is not there"""
    state: SeatState
    reason: str = ""
    """why it waits, is slow, was refused or failed, in words"""
    progress: float = 0.0
    """0 to 1: 1 only when read back and verified; see ``dashboards.fleet.progress``"""
    rate_bits_per_second: float = 0.0
    """that it received in the last seconds"""
    eta_seconds: float | None = None
    """until it is verified; None when nobody can tell"""
    target: str = ""
    """the disk that is, or would be, overwritten"""
    missing_bytes: int | None = None
    """of the disk that have to be sent; None while it is not known"""
    is_slow: bool = False
    """it is on the catch-up lane, or ``reason`` says what slows it"""
    loss_ratio: float = 0.0
    repaired_blocks: int = 0
    bytes_received: int = 0
    catch_up_bytes: int = 0
    bytes_written: int = 0
    link_bits_per_second: int = 0
    disk_busy_ratio: float = 0.0
    buffer_fill_ratio: float = 0.0
    silent_seconds: float = 0.0
    settled_seconds: float | None = None
    """from the start of sending to its final report"""
    alarm: str = ""
    row: int = 0
    """1 for the front; 0 for what has no place"""
    column: int = 0
    """1 for the left, seen from the back"""
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, middle and largest of the progress of the seats that take part; all 0 when there are none."""

    minimum: float = 0.0
    median: float = 0.0
    maximum: float = 0.0


@dataclass(frozen=True, slots=True)
class RoomView:
    """One room with its seats, whether a session runs there or not."""

    name: str
    seats: tuple[SeatView, ...]
    """in the order of the room: row by row"""
    tsi: str = ""
    """of the open session in this room, or of the last that ended there while we watched; empty when there is none"""
    step: SessionStep | None = None
    spread: Spread = Spread()
    eta_seconds: float | None = None
    """of the last seat"""
    counts: tuple[tuple[SeatState, int], ...] = ()
    """how many seats are in each state that occurs"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of a session's timeline: what happened since the one before."""

    at: float
    """seconds since 1970, by the broadcaster's clock"""
    rate_bits_per_second: float
    """that left to the group"""
    cap_bits_per_second: int
    set_rate_bits_per_second: int
    """that the rate control allowed"""
    catch_up_bits_per_second: float
    repair_ratio: float
    """of the datagrams that left, those for repair"""
    loss_ratio: float
    """median of the seats"""
    worst_loss_ratio: float
    progress_median: float


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session, open or just ended."""

    tsi: str
    room: str
    image: str
    version: int
    disk_size: int
    stored_bytes: int
    ordered_by: str
    opened_at: float
    """seconds since 1970"""
    step: SessionStep
    elapsed_seconds: float
    eta_seconds: float | None
    rate_bits_per_second: int
    """that the rate control allows now"""
    wire_bits_per_second: float
    """that left to the group in the last second"""
    cap_bits_per_second: int
    rate_reason: str
    bytes_on_wire: int
    catch_up_bytes: int
    datagrams_sent: int
    repair_datagrams: int
    expected_seats: int
    end_reason: str
    seats: tuple[SeatView, ...]
    spread: Spread
    happenings: tuple[Happening, ...]
    """oldest first"""
    samples: tuple[Sample, ...]
    """oldest first, about one a second, thinned out when a session is long"""
    age_seconds: float
    """of this picture"""
    backs_up: bool = False
    """the disk of each seat is captured before it is overwritten"""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the picture can be believed, and what an operator should mend."""

    is_broker_connected: bool
    broker_text: str
    """where it is, or why it cannot be reached"""
    host: HostNews | None
    """the last word of the broadcaster; None when it has not been heard"""
    age_seconds: float | None
    """of that word; None when it has not been heard"""
    is_broadcaster_heard: bool
    """within the last few seconds"""
    problems: tuple[str, ...]
    """in words, with what to do; empty when all is well"""


@dataclass(frozen=True, slots=True)
class FleetView:
    """All of it at one moment."""

    at: float
    """seconds since 1970, by our clock"""
    health: Health
    rooms: tuple[RoomView, ...]
    tray: tuple[SeatView, ...]
    """receivers that are there and have no seat in any room"""
    sessions: tuple[SessionView, ...]
    """open ones first, the newest first"""
    applicants: tuple[ApplicantNews, ...]
    images: tuple[ImageNews, ...]
    exporters: tuple[tuple[str, str], ...] = ()
    """receiver id, and address:port of its own Prometheus exporter, as it claims"""
    captures: tuple[CaptureView, ...] = ()
    """disks on their way into the library, and those that came or failed a short while ago; the oldest first"""
    is_library_known: bool = True
    """whether the broadcaster has told all of its images; just after its start it has not"""
    configurations: tuple[str, ...] = ()
    """names of those that a session can be planned with"""
    can_boot: bool = False
    """machines can be told to boot the environment"""
