"""What a seat's screen is to show, before anybody knows how large it is. Every text in it is one printable line."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocol.fields import printable

LONGEST_LINE: Final = 400
"""[characters] of one sentence: as long as a reason in a report may be; stops a peer from filling the screen."""


class Tone(Enum):
    """How urgent it is."""

    CALM = "calm"
    BUSY = "busy"
    GOOD = "good"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class ScreenModel:
    """One picture."""

    seat: str
    """name of the place, in large letters"""
    room: str
    headline: str
    """state in one or two words, in large letters"""
    tone: Tone
    words: tuple[str, ...] = ()
    """fingerprint, in large letters"""
    progress: float | None = None
    """0 to 1; None without a bar"""
    progress_text: str = ""
    lines: tuple[str, ...] = ()
    """sentences, the most important one first"""
    question: str = ""
    """what a key must be pressed for"""
    keys: tuple[str, ...] = ()
    """which keys do something now, such as "A stop" """
    footer: str = ""
    """network and broadcaster"""


def plain(text: str, longest: int = LONGEST_LINE) -> str:
    """One line that does nothing to a terminal, whoever wrote it."""
    return printable(text[:longest])
