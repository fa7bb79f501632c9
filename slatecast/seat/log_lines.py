"""What a seat says on its serial line: one line for each change, in words that other programs may wait for. Pure.

The lines are listed in docs/operations.md and stay as they are.
"""

from collections.abc import Iterator
from typing import Final

from protocol.messages import ReceiverState
from slatecast.seat.events import (
    INTERRUPTED,
    BroadcasterSeen,
    CaptureEnded,
    CaptureProgressed,
    ConfigurationEnded,
    DoorFound,
    Enrolled,
    Event,
    Joined,
    NetworkSeen,
    Refused,
    RestoreAnswered,
    Searching,
    SessionEnded,
    SessionSeen,
    StepReported,
    Stumbled,
    TargetSeen,
    WordsShown,
    WorkSeen,
)
from slatecast.seat.screen_model import plain

_FORGOTTEN: Final[dict[type[Event], tuple[str, ...]]] = {
    Searching: ("enrolment", "joined"),
    Joined: ("door", "trouble"),
}
"""What is said again after these, although it was said before."""


class LogLines:
    """Knows what was said last, so that nothing is said twice in a row."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def lines(self, event: Event) -> Iterator[str]:
        """What ``event`` changes, without the name of the program in front."""
        for subject in _FORGOTTEN.get(type(event), ()):
            self._said.pop(subject, None)
        subject, line = _line(event)
        if line != self._said.get(subject):
            self._said[subject] = line
            if line:
                yield plain(line)


def _line(event: Event) -> tuple[str, str]:  # noqa: PLR0911, PLR0912  # one case for each event, each one line
    """What it is about, and what to say of that."""
    match event:
        case NetworkSeen(interface=interface, address=address, has_link=True) if address:
            speed = event.speed_bits_per_second
            return (
                "network",
                f"network {interface} {address} {f'{speed // 10**6} Mbit/s' if speed else 'speed unknown'}",
            )
        case NetworkSeen(has_link=True):
            return "network", "network without an address"
        case NetworkSeen():
            return "network", "no network"
        case Searching(trouble=trouble) if trouble:
            return "trouble", f"no broadcaster: {trouble}"
        case DoorFound(place=place):
            return "door", f"found {place}"
        case WordsShown(words=words):
            return "words", f"words {' '.join(words)}"
        case Refused(reason=reason):
            return "enrolment", f"not enrolled: {reason}"
        case Enrolled():
            return "enrolment", "enrolled"
        case Joined():
            return "joined", "joined"
        case BroadcasterSeen(is_there=is_there):
            return "heard", "" if is_there else "the broadcaster is away"
        case TargetSeen(path=path, fault=fault) if fault:
            return "target", f"no target: {path}: {fault}"
        case TargetSeen(description=description):
            return "target", f"target {description}"
        case WorkSeen(work=work) if work is not None and work.seat:
            return "seat", f"seat {work.seat}"
        case SessionSeen(session=None):
            return "session", ""
        case SessionSeen(session=session) if session is not None and not session.state.is_final:
            done = "" if session.done is None else f" {int(100 * session.done)} %"
            return "session", f"state {session.stage}{done}"
        case SessionEnded(state=state, reason=reason):
            if state is ReceiverState.VERIFIED:
                return "session", "verified"
            said = state.value if state.is_final else "session over"
            return "session", f"{said}: {reason}" if reason else said
        case CaptureProgressed(waits_for=reason) if reason:
            return "capture", f"capture waits: {reason}"
        case CaptureProgressed(done=done):
            return "capture", f"capture {int(100 * done)} %"
        case CaptureEnded(fault=fault) if fault == INTERRUPTED:
            return "capture", "capture interrupted"
        case CaptureEnded(fault=fault):
            return "capture", f"capture failed: {fault}" if fault else "capture done"
        case StepReported(name=name, state=state, text=text):
            return "step", f"step {name} {state}{f': {text}' if text else ''}"
        case ConfigurationEnded(fault=fault, is_configured=is_configured):
            if fault:
                return "configured", f"not configured: {fault}"
            return "configured", "configured" if is_configured else "nothing to configure"
        case RestoreAnswered(refusal=refusal):
            return "restore", f"restore refused: {refusal}" if refusal else "restore asked for"
        case Stumbled(text=text):
            return "error", f"error: {text}"
        case _:
            return "", ""
