"""What one seat is started with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slatecast.seat.boot_arguments import BootArguments

if TYPE_CHECKING:
    from protocol.trust import Trust


@dataclass(frozen=True, slots=True)
class SeatSettings:
    """Of one start of the program."""

    arguments: BootArguments
    trust: "Trust | None" = None
    """the broadcaster that it must be; None: words are compared"""
    known: Path | None = None
    """file of the broadcasters that were confirmed here"""
    countdown_seconds: float = 10.0
    """for which the first write can be stopped"""
