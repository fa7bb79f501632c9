"""What happens at a seat, what the seat is to do about it, and what is known of a session or capture for its screen."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.configuration import StepState
from protocol.messages import ReceiverState
from protocol.seat_api import CaptureOrder, RestoreOffer, Work

# --- what happens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NetworkSeen:
    """How the network of this PC is now."""

    interface: str = ""
    """empty where there is none"""
    address: str = ""
    """empty while there is none"""
    has_link: bool = False
    speed_bits_per_second: int | None = None
    """None where the driver does not say"""
    warning: str = ""
    """what is wrong with it although it works, in one sentence"""


@dataclass(frozen=True, slots=True)
class Searching:
    """A broadcaster is looked for; ``trouble`` is why there is none yet."""

    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DoorFound:
    """There is a front door; whether to believe it is another question."""

    place: str


@dataclass(frozen=True, slots=True)
class WordsShown:
    """The operator has to decide, by these words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordsAsked:
    """Somebody at this seat has to say whether the operator's screen shows the same words."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The broadcaster has let this seat in."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not let in, or the broadcaster is not proved; it is asked again ``again_in`` seconds later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The broker knows that this seat is there: sessions can order it."""


@dataclass(frozen=True, slots=True)
class BroadcasterSeen:
    """Whether the broadcaster can be heard now."""

    is_there: bool


@dataclass(frozen=True, slots=True)
class TargetSeen:
    """Which disk would be overwritten, or why none would: ``fault`` follows the path, or the rule."""

    path: str
    description: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class WorkSeen:
    """What the broadcaster has for this seat; None when it could not be asked."""

    work: Work | None


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session as it is now."""

    tsi: str
    image: str
    version: int
    target: str
    state: ReceiverState
    stage: str
    """scanning, receiving, verifying, or the state"""
    done: float | None
    """0 to 1 of the stage; None where there is nothing to count"""
    seconds_left: int = 0
    """of the countdown"""
    may_be_stopped: bool = False
    """and the disk stays as it is"""
    reason: str = ""
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """The session under way, or None."""

    session: SessionView | None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """How a session ended here; a disk that is verified is configured now, and nothing else may touch it."""

    tsi: str
    state: ReceiverState
    reason: str


@dataclass(frozen=True, slots=True)
class CaptureProgressed:
    """How far the capture is."""

    done: float
    text: str = ""
    """what it does"""
    waits_for: str = ""
    """why it does not go on for the moment"""


INTERRUPTED: Final = "interrupted"
"""The fault of a capture that was told to stop, since something else needs the disk, or this program ends."""


@dataclass(frozen=True, slots=True)
class CaptureEnded:
    """The capture is over: with no ``fault`` it is in the library."""

    capture_id: str
    fault: str = ""
    may_try_again: bool = False
    """the same order may be begun again"""


@dataclass(frozen=True, slots=True)
class StepReported:
    """One step of that."""

    name: str
    state: StepState
    text: str = ""


class Afterwards(StrEnum):
    """What becomes of a PC whose disk is complete."""

    RESTART = "restart"
    POWER_OFF = "poweroff"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class ConfigurationEnded:
    """The disk is as it is to be; or ``fault`` says why not."""

    afterwards: Afterwards
    fault: str = ""
    is_configured: bool = True
    """False where there was nothing to do"""


@dataclass(frozen=True, slots=True)
class RestoreAnswered:
    """What the broadcaster said to the wish."""

    refusal: str = ""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key at this seat."""

    key: str


@dataclass(frozen=True, slots=True)
class Stumbled:
    """Something of ours went wrong; the seat goes on."""

    text: str


Event = (
    NetworkSeen
    | Searching
    | DoorFound
    | WordsShown
    | WordsAsked
    | Enrolled
    | Refused
    | Joined
    | BroadcasterSeen
    | TargetSeen
    | WorkSeen
    | SessionSeen
    | SessionEnded
    | CaptureProgressed
    | CaptureEnded
    | StepReported
    | ConfigurationEnded
    | RestoreAnswered
    | KeyPressed
    | Stumbled
)

# --- what to do ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """One line for the log; those that other programs wait for are listed in docs/operations.md."""

    line: str


@dataclass(frozen=True, slots=True)
class AnswerWords:
    """The words are the same, or not."""

    are_same: bool


@dataclass(frozen=True, slots=True)
class AbortSession:
    """Stop before the first write."""


@dataclass(frozen=True, slots=True)
class BreakOffSession:
    """Stop although the disk is being written; it stays marked as incomplete."""


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Read the disk into the library."""

    order: CaptureOrder


@dataclass(frozen=True, slots=True)
class StopCapture:
    """End it; with a ``reason`` for good, else the same order may be begun again."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefuseCapture:
    """Tell the broadcaster that it cannot be begun, and why."""

    capture_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AskRestore:
    """Tell the broadcaster that somebody has chosen, and confirmed."""

    offer: RestoreOffer


@dataclass(frozen=True, slots=True)
class Restart:
    """Start this PC again: from its own disk, unless the broadcaster orders otherwise."""


@dataclass(frozen=True, slots=True)
class PowerOff:
    """Switch this PC off."""


Action = (
    Say
    | AnswerWords
    | AbortSession
    | BreakOffSession
    | StartCapture
    | StopCapture
    | RefuseCapture
    | AskRestore
    | Restart
    | PowerOff
)
