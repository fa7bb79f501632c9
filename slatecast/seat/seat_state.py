"""What a seat is about, decided: events in, actions and the picture's facts out. Pure: no time but ``now``.

    no network -> searching -> enrolling (words) -> joined -+-> a session: planned, counting down, writing, verified
                                                            |     -> configured -> countdown -> restart
                                                            +-> a capture, only while no session may write
                                                            +-> a question that a key has put, until it is answered

What must hold: a capture begins only while no session may write, and is stopped when one is about to; what a key does
to this PC or its disk takes two of them, but for stopping a countdown, which takes one; a machine is restarted only
when its disk is complete, or because somebody there asked for it twice.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from protocol.messages import ReceiverState
from protocol.seat_api import RestoreOffer, Work
from slatecast.seat.boot_arguments import SeatMode
from slatecast.seat.captures import CaptureDesk
from slatecast.seat.events import (
    AbortSession,
    Action,
    Afterwards,
    AnswerWords,
    AskRestore,
    BreakOffSession,
    BroadcasterSeen,
    CaptureEnded,
    CaptureProgressed,
    ConfigurationEnded,
    DoorFound,
    Enrolled,
    Event,
    Joined,
    KeyPressed,
    NetworkSeen,
    PowerOff,
    Refused,
    Restart,
    RestoreAnswered,
    Say,
    Searching,
    SessionEnded,
    SessionSeen,
    SessionView,
    StepReported,
    StopCapture,
    Stumbled,
    TargetSeen,
    WordsAsked,
    WordsShown,
    WorkSeen,
)
from slatecast.seat.log_lines import LogLines
from slatecast.seat.questions import STOP_KEYS, YES, Question, QuestionKind

RESTART_COUNTDOWN: Final = 10.0
"""[s] Between a disk that is complete and the restart: time for whoever stands there to read the screen and keep it."""

UNWRITTEN: Final = frozenset({ReceiverState.PLANNED, ReceiverState.ARMING, ReceiverState.READY})
"""States in which the disk is as it was."""


@dataclass(frozen=True, slots=True)
class Countdown:
    """The PC is about to be restarted or switched off, and any key keeps it."""

    ends_at: float
    afterwards: Afterwards


class SeatState:
    """Everything that one seat knows of itself, and what follows from it."""

    def __init__(self, mode: SeatMode = SeatMode.RECEIVE) -> None:
        self.mode: Final = mode
        self.network = NetworkSeen()
        self.place = ""
        """of the front door"""
        self.trouble = ""
        """why it is not joined yet, or what has just gone wrong"""
        self.words: tuple[str, ...] = ()
        self.is_asking_words = False
        self.is_joined = False
        self.is_heard = True
        """the broadcaster is there, as far as the last exchange tells"""
        self.target = TargetSeen("", fault="is being looked for")
        self.work = Work()
        self.session: SessionView | None = None
        self.outcome: SessionEnded | None = None
        self.steps: tuple[StepReported, ...] = ()
        self.is_configuring = False
        self.configuration_fault = ""
        self.countdown: Countdown | None = None
        self.question: Question | None = None
        self.restore_refusal = ""
        self.is_restore_wanted = False
        self.captures: Final = CaptureDesk()
        self._log: Final = LogLines()
        self._actions: deque[Action] = deque()

    def handle(self, event: Event, now: float) -> None:
        """Take what has happened."""
        match event:
            case SessionSeen() | SessionEnded() | StepReported() | ConfigurationEnded():
                self._of_session(event, now)
            case CaptureProgressed() | CaptureEnded():
                self.captures.handle(event, now)
            case KeyPressed(key=key):
                self._key(key, now)
            case WordsShown() | WordsAsked() | Enrolled() | Refused():
                self._of_enrolment(event)
            case _:
                self._of_broadcaster(event)
        self._actions.extend(Say(line) for line in self._log.lines(event))
        self._consider(now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        countdown = self.countdown
        if countdown is not None and now >= countdown.ends_at:
            self.countdown = None
            self._leave(countdown.afterwards)
        if self.question is not None and self.question.is_stale(now):
            self.question = None
        self._consider(now)

    def next_action(self) -> Action | None:
        """The next thing to do, or None."""
        return self._actions.popleft() if self._actions else None

    # --- what is known -----------------------------------------------------------------------------------------------

    @property
    def may_write(self) -> bool:
        """Whether something else than a capture may be writing to the disk, now or at any moment."""
        is_in_session = self.session is not None and self.session.state is not ReceiverState.PLANNED
        return self.is_configuring or is_in_session

    @property
    def is_free(self) -> bool:
        """Whether nothing is done for this seat now."""
        return self.session is None and not self.is_configuring and self.captures.running is None

    @property
    def offer(self) -> RestoreOffer | None:
        """What whoever sits here may choose now."""
        return self.work.restore if self.is_joined and self.is_free and self.countdown is None else None

    def may(self, kind: QuestionKind) -> bool:
        """Whether a key may put this question now."""
        match kind:
            case QuestionKind.RESTORE:
                return self.offer is not None
            case QuestionKind.BREAK_OFF:
                return self.session is not None and self.session.state is ReceiverState.RECEIVING
            case QuestionKind.STOP_CAPTURE:
                return self.captures.running is not None and not self.may_write
            case _:
                return not self.may_write and not self.is_asking_words

    # --- events ------------------------------------------------------------------------------------------------------

    def _of_enrolment(self, event: WordsShown | WordsAsked | Enrolled | Refused) -> None:
        match event:
            case WordsShown(words=words):
                self.words = words
            case WordsAsked():
                self.is_asking_words, self.question = True, None
            case Enrolled():
                self.is_asking_words, self.words, self.trouble = False, (), ""
            case Refused(reason=reason):
                self.is_asking_words, self.words, self.trouble = False, (), reason

    def _of_broadcaster(self, event: Event) -> None:
        match event:
            case NetworkSeen():
                self.network = event
            case Searching(trouble=trouble):
                self.is_joined, self.trouble, self.place = False, trouble, ""
            case DoorFound(place=place):
                self.place, self.trouble = place, ""
            case Joined():
                self.is_joined = self.is_heard = True
            case BroadcasterSeen(is_there=is_there):
                self.is_heard = is_there
            case TargetSeen():
                self.target = event
            case WorkSeen(work=work):
                self._take_work(work)
            case RestoreAnswered(refusal=refusal):
                self.restore_refusal, self.is_restore_wanted = refusal, not refusal
            case Stumbled(text=text):
                self.trouble = text
            case _:
                pass

    def _take_work(self, work: Work | None) -> None:
        if work is None:
            return
        if self.question is not None and self.question.offer not in (None, work.restore):
            self.question = None  # nobody gets another one than was shown
        self.work = work
        self.captures.order = work.capture

    def _of_session(self, event: Event, now: float) -> None:
        match event:
            case SessionSeen(session=session):
                if session is not None and (self.session is None or self.session.tsi != session.tsi):
                    self._begin_anew()
                self.session = session
            case SessionEnded(state=state):
                self.session, self.outcome = None, event
                self.is_configuring = state is ReceiverState.VERIFIED
            case StepReported():
                self.steps = (*(step for step in self.steps if step.name != event.name), event)
            case ConfigurationEnded(afterwards=afterwards, fault=fault):
                self.is_configuring, self.configuration_fault = False, fault
                if afterwards is not Afterwards.STAY:
                    self.countdown = Countdown(now + RESTART_COUNTDOWN, afterwards)
            case _:
                pass

    def _begin_anew(self) -> None:
        """Another session: what became of the one before is of no interest any more."""
        self.outcome, self.steps, self.configuration_fault, self.countdown = None, (), "", None
        self.restore_refusal, self.is_restore_wanted = "", False

    def _consider(self, now: float) -> None:
        """Begin or stop what the facts ask for."""
        if self.may_write:
            self.countdown = None
        if self.question is not None and not self.may(self.question.kind):
            self.question = None
        if self.may_write:
            if self.captures.must_yield():
                self._actions.append(StopCapture())
        elif self.is_joined:
            fault = f"{self.target.path}: {self.target.fault}" if self.target.fault else ""
            action = self.captures.without_disk(fault, now) if fault else self.captures.next_start(now)
            if action is not None:
                self._actions.append(action)

    # --- keys --------------------------------------------------------------------------------------------------------

    def _key(self, key: str, now: float) -> None:
        key = key.casefold()
        question, self.question = self.question, None
        if question is not None:
            if key == YES:
                self._answered(question)
        elif self.is_asking_words:
            if key in (YES, "n"):
                self.is_asking_words = False
                self._actions.append(AnswerWords(are_same=key == YES))
        elif self.countdown is not None:
            self.countdown = None
        elif key in STOP_KEYS and self._can_abort():
            self._actions.append(AbortSession())
        else:
            self._ask(key, now)

    def _can_abort(self) -> bool:
        session = self.session
        return session is not None and session.state in UNWRITTEN and session.may_be_stopped

    def _ask(self, key: str, now: float) -> None:
        """Put a question, of those that this key may put the first that makes sense now."""
        for kind in QuestionKind:
            if key in kind.keys and self.may(kind):
                offer = self.offer if kind is QuestionKind.RESTORE else None
                self.question = Question(kind, now, offer)
                return

    def _answered(self, question: Question) -> None:
        """Somebody has pressed two keys: the one that asks, and yes."""
        match question.kind:
            case QuestionKind.RESTORE if question.offer is not None:
                self.restore_refusal = ""
                self._actions.append(AskRestore(question.offer))
            case QuestionKind.BREAK_OFF:
                self._actions.append(BreakOffSession())
            case QuestionKind.STOP_CAPTURE:
                self.captures.stopped_here()
                self._actions.append(StopCapture("stopped at the seat"))
            case QuestionKind.POWER_OFF:
                self._leave(Afterwards.POWER_OFF)
            case QuestionKind.RESTART:
                self._leave(Afterwards.RESTART)
            case _:
                pass

    def _leave(self, afterwards: Afterwards) -> None:
        """Let go of this PC; a capture goes on when it is asked for again."""
        if self.captures.must_yield():
            self._actions.append(StopCapture())
        is_restart = afterwards is Afterwards.RESTART
        self._actions.append(Say("restarting" if is_restart else "powering off"))
        self._actions.append(Restart() if is_restart else PowerOff())
