"""What a seat's screen says of its state, in words. Pure: facts in, ``ScreenModel`` out."""

from collections.abc import Iterator

from protocol.messages import ReceiverState
from slatecast.cli.words import rate_in_words, seconds_in_words
from slatecast.seat.boot_arguments import SeatMode
from slatecast.seat.events import INTERRUPTED, SessionEnded, SessionView
from slatecast.seat.pace import Pace
from slatecast.seat.questions import QuestionKind
from slatecast.seat.screen_model import ScreenModel, Tone, plain
from slatecast.seat.seat_state import SeatState

_STAGES = {
    "planned": "planned",
    "ready": "waiting",
    "scanning": "comparing",
    "receiving": "writing",
    "verifying": "checking",
}
"""States as they are called at a seat."""

_QUESTIONS = {
    QuestionKind.BREAK_OFF: "The disk is being written and would stay unusable. Stop it? Y yes, any other key no",
    QuestionKind.STOP_CAPTURE: "Stop the capture of this disk? Y yes, any other key no",
    QuestionKind.RESTART: "Restart this PC from its own disk? Y yes, any other key no",
    QuestionKind.POWER_OFF: "Switch this PC off? Y yes, any other key no",
}
_KEYS = {
    QuestionKind.BREAK_OFF: "A stop",
    QuestionKind.STOP_CAPTURE: "A stop",
    QuestionKind.RESTORE: "R restore this PC",
    QuestionKind.RESTART: "B boot from disk",
    QuestionKind.POWER_OFF: "Q power off",
}


class SeatWords:
    """Puts one seat's state into words; remembers how fast a stage goes, to tell when it ends."""

    def __init__(self, name: str) -> None:
        """``name`` is what this PC is called while nobody has named its place."""
        self._name = name
        self._pace = Pace()

    def model(self, state: SeatState, now: float) -> ScreenModel:
        """The picture of ``state``."""
        headline, tone, lines = _story(state, now)
        done, stage = _progress(state)
        left = self._pace.seconds_left(stage, done, now)
        text = "" if done is None else f"{int(100 * done)} %"
        if left is not None:
            text += f", about {seconds_in_words(left)} left"
        return ScreenModel(
            seat=plain(state.work.seat or self._name),
            room=plain(state.work.room),
            headline=plain(headline),
            tone=tone,
            words=tuple(map(plain, state.words)),
            progress=done,
            progress_text=text,
            lines=tuple(plain(line) for line in (*lines, *_notes(state)) if line),
            question=plain(_question(state)),
            keys=tuple(_keys(state)),
            footer=plain(_footer(state)),
        )


def _story(state: SeatState, now: float) -> tuple[str, Tone, tuple[str, ...]]:
    """Headline, tone, and sentences; the most urgent case first."""
    session = state.session
    if session is not None and not session.state.is_final:
        return _of_session(session)
    if state.is_configuring:
        return "configuring", Tone.BUSY, (_last_step(state),)
    if state.countdown is not None:
        left = max(0, round(state.countdown.ends_at - now))
        verb = "restarts" if state.countdown.afterwards == "restart" else "is switched off"
        tone = Tone.WARNING if state.configuration_fault else Tone.GOOD
        return "done", tone, (f"This PC {verb} in {left} s: any key keeps it on", state.configuration_fault)
    if state.captures.running is not None:
        running = state.captures.running
        what = "backup" if running.order.is_backup else "capture"
        return what, Tone.BUSY, (f"This disk is read into the image {running.order.image}", running.text)
    if not state.is_joined:
        return _on_the_way(state)
    return _at_rest(state)


def _of_session(session: SessionView) -> tuple[str, Tone, tuple[str, ...]]:
    image = f"Image {session.image}, version {session.version}"
    how = ": press A to stop" if session.may_be_stopped else ""
    if session.state is ReceiverState.ARMING:
        sentence = f"Overwriting this disk in {session.seconds_left} s{how}"
        return f"stop? {session.seconds_left} s", Tone.ALARM, (sentence, session.target, image)
    if session.state is ReceiverState.PLANNED:
        sentence = "Planned: nothing is written before the operator starts it"
        return _STAGES["planned"], Tone.WARNING, (sentence, session.target, image)
    headline = _STAGES.get(session.stage, session.stage)
    if session.done is not None:
        headline = f"{headline} {int(100 * session.done)} %"
    waits = f"Overwriting this disk when the image comes{how}" if session.may_be_stopped else ""
    return headline, Tone.BUSY, (waits, f"{image}, to {session.target}", session.reason, session.alarm)


def _on_the_way(state: SeatState) -> tuple[str, Tone, tuple[str, ...]]:
    network = state.network
    if not network.has_link:
        return "no network", Tone.ALARM, ("No cable has a link: look at the cable and the switch port",)
    if not network.address:
        return "no address", Tone.WARNING, (f"Waiting for an address by DHCP on {network.interface}", state.trouble)
    if state.words and state.is_asking_words:
        sentence = "Does the operator's screen show the same words? Y the same, N others"
        return "same words?", Tone.WARNING, (sentence,)
    if state.words:
        return "waiting", Tone.WARNING, ("The operator's screen must show these words; he lets this PC in",)
    if state.place:
        return "joining", Tone.CALM, (f"Asking the broadcaster at {state.place} to be let in", state.trouble)
    return "searching", Tone.CALM, ("Looking for a broadcaster", state.trouble)


def _at_rest(state: SeatState) -> tuple[str, Tone, tuple[str, ...]]:
    if not state.network.has_link:
        return "no network", Tone.ALARM, ()
    if state.target.fault:
        return (
            "which disk?",
            Tone.ALARM,
            (f"{state.target.path}: {state.target.fault}", "Looking again every few seconds"),
        )
    if not state.is_heard:
        return "waiting", Tone.WARNING, ("The broadcaster is away; what this PC has it keeps, and looks for it again",)
    if state.outcome is not None and state.outcome.state is not ReceiverState.PLANNED:
        return _of_outcome(state, state.outcome)
    return _free(state)


def _of_outcome(state: SeatState, outcome: SessionEnded) -> tuple[str, Tone, tuple[str, ...]]:
    if outcome.state is ReceiverState.VERIFIED:
        tone = Tone.WARNING if state.configuration_fault else Tone.GOOD
        return "done", tone, ("This disk is written and verified", state.configuration_fault)
    is_untouched = outcome.state in (ReceiverState.REFUSED, ReceiverState.ARMING, ReceiverState.READY)
    what = "Nothing was written" if is_untouched else "This disk is incomplete and does not boot"
    headline = outcome.state.value if outcome.state.is_final else "broken off"
    return headline, Tone.ALARM, (what, outcome.reason)


def _free(state: SeatState) -> tuple[str, Tone, tuple[str, ...]]:
    if state.is_restore_wanted:
        return "waiting", Tone.CALM, ("Asked for: the restore begins soon",)
    if state.mode is SeatMode.MENU:
        return "menu", Tone.CALM, (_menu(state),)
    if state.mode is SeatMode.CAPTURE:
        return "ready", Tone.GOOD, ("This machine can be captured: order it at the console",)
    return "ready", Tone.GOOD, ("Waiting for the operator",)


def _menu(state: SeatState) -> str:
    offer = state.offer
    if offer is None:
        return "Nothing can be chosen here now: the room allows no restore without an operator"
    return f"R puts {offer.image}, version {offer.version} of {offer.created[:10]}, on this disk"


def _notes(state: SeatState) -> Iterator[str]:
    """What is true beside the story."""
    if state.is_joined and not state.network.has_link:
        yield "The cable has no link any more: look at it and at the switch port"
    yield state.network.warning
    yield state.work.notice
    if state.restore_refusal:
        yield f"Not restored: {state.restore_refusal}"
    if state.captures.running is None and state.captures.last is not None:
        yield _captured(state.captures.last.fault)
    if state.is_joined and state.trouble:
        yield state.trouble


def _captured(fault: str) -> str:
    if fault == INTERRUPTED:
        return "The capture was interrupted: it goes on when the disk is free, if it is still wanted"
    return f"Not captured: {fault}" if fault else "The disk was read into the library"


def _last_step(state: SeatState) -> str:
    if not state.steps:
        return "The disk is verified and is made fit for this PC"
    last = state.steps[-1]
    return f"{last.name} {last.state}{f': {last.text}' if last.text else ''}"


def _progress(state: SeatState) -> tuple[float | None, str]:
    """How far it is, and of what."""
    if state.session is not None and not state.session.state.is_final:
        return state.session.done, state.session.stage
    if state.captures.running is not None:
        return state.captures.running.done, "capture"
    return None, ""


def _question(state: SeatState) -> str:
    question = state.question
    if question is None:
        return ""
    if question.offer is not None:
        offer = question.offer
        what = f"{offer.image}, version {offer.version} of {offer.created[:10]}"
        return f"Overwrite this disk with {what}? All files on it are lost. Y yes, any other key no"
    return _QUESTIONS.get(question.kind, "")


def _keys(state: SeatState) -> Iterator[str]:
    if state.question is not None or state.is_asking_words or state.countdown is not None:
        return
    session = state.session
    if session is not None and session.may_be_stopped:
        yield "A stop"
    yield from (_KEYS[kind] for kind in QuestionKind if state.may(kind))


def _footer(state: SeatState) -> str:
    network = state.network
    if not network.has_link:
        return "no network"
    speed = rate_in_words(network.speed_bits_per_second) if network.speed_bits_per_second else "speed unknown"
    where = f"  broadcaster {state.place}" if state.place else ""
    return f"{network.interface} {network.address or 'no address'} {speed}{where}"
