"""How each state of a seat and each step of a session looks and reads: an icon, a word and a tone. Pure.

The word and the icon say it all; the tone (a class of ``console.css``) only makes it quicker to find. The icons are of
the Material Icons font that NiceGUI ships.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dashboards.desk_rules import SELF_SERVICE
from dashboards.fleet.views import SeatState, SeatView
from protocol.operators import SessionStep, Severity


class Tone(StrEnum):
    """Six colours, each with a meaning, in light and in dark."""

    QUIET = "quiet"
    """nothing goes on"""
    WAITING = "waiting"
    BUSY = "busy"
    SLOW = "slow"
    """goes on, but look at it when there is time"""
    GOOD = "good"
    BAD = "bad"
    """look at it now"""


@dataclass(frozen=True, slots=True)
class Sign:
    """How something is shown."""

    icon: str
    word: str
    tone: Tone


SEAT_SIGNS: Final = {
    SeatState.EMPTY: Sign("crop_free", "no machine", Tone.QUIET),
    SeatState.OFF: Sign("power_settings_new", "off", Tone.QUIET),
    SeatState.IDLE: Sign("computer", "idle", Tone.QUIET),
    SeatState.PLANNED: Sign("event_available", "planned", Tone.WAITING),
    SeatState.SCANNING: Sign("manage_search", "reading its disk", Tone.WAITING),
    SeatState.ARMING: Sign("timer", "counting down", Tone.WAITING),
    SeatState.READY: Sign("hourglass_top", "ready", Tone.WAITING),
    SeatState.RECEIVING: Sign("downloading", "receiving", Tone.BUSY),
    SeatState.CATCHING_UP: Sign("directions_run", "catching up", Tone.SLOW),
    SeatState.VERIFYING: Sign("fact_check", "verifying", Tone.BUSY),
    SeatState.VERIFIED: Sign("check_circle", "verified", Tone.GOOD),
    SeatState.REFUSED: Sign("block", "refused", Tone.BAD),
    SeatState.FAILED: Sign("error", "failed", Tone.BAD),
    SeatState.DAMAGED: Sign("broken_image", "damaged", Tone.BAD),
    SeatState.LOST: Sign("wifi_off", "lost", Tone.BAD),
    SeatState.STALLED: Sign("hourglass_disabled", "stalled", Tone.BAD),
    SeatState.INCOMPLETE: Sign("rule", "incomplete", Tone.BAD),
    SeatState.ABORTED: Sign("cancel", "stopped", Tone.BAD),
}

STEP_SIGNS: Final = {
    SessionStep.PLANNED: Sign("event_available", "planned, nothing is written", Tone.WAITING),
    SessionStep.WAITING: Sign("hourglass_top", "getting ready", Tone.WAITING),
    SessionStep.RUNNING: Sign("podcasts", "running", Tone.BUSY),
    SessionStep.PAUSED: Sign("pause_circle", "paused", Tone.SLOW),
    SessionStep.ENDED: Sign("flag", "ended", Tone.QUIET),
}

SEVERITY_SIGNS: Final = {
    Severity.INFO: Sign("info", "information", Tone.QUIET),
    Severity.GOOD: Sign("check_circle", "good news", Tone.GOOD),
    Severity.WARNING: Sign("warning", "warning", Tone.SLOW),
    Severity.ERROR: Sign("error", "error", Tone.BAD),
}


TURNS: Final = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""characters that turn the direction of reading: one in the name of a seat would turn our own words behind it"""


def plain(text: str) -> str:
    """A foreign text as a part of a sentence of ours: what would change the rest of the sentence is left out."""
    return text.translate(TURNS)


def ordered_in_words(ordered_by: str) -> str:
    """Who wanted a session; empty where nobody knows."""
    if ordered_by == SELF_SERVICE:
        return "wanted by whoever sits at the seat (self-service)"
    return f"ordered by {plain(ordered_by)}" if ordered_by else ""


def planned_in_words(ordered_by: str) -> str:
    """Who has planned a session."""
    if ordered_by == SELF_SERVICE:
        return "planned by self-service, for whoever sits at the seat"
    return f"planned by {plain(ordered_by)}" if ordered_by else "planned"


def seat_sign(seat: SeatView) -> Sign:
    """The sign of a seat's state; a seat that is slow has the tone of it, and keeps icon and word."""
    sign = SEAT_SIGNS[seat.state]
    if seat.is_slow and sign.tone is Tone.BUSY:
        return Sign(sign.icon, f"{sign.word}, slow", Tone.SLOW)
    return sign


def seat_in_words(seat: SeatView) -> str:
    """One sentence for whoever cannot see the map: "seat 14, failed: disk error at sector 8"."""
    words = f"{plain(seat.name)}, {seat_sign(seat).word}"
    return f"{words}: {plain(seat.reason)}" if seat.reason else words
