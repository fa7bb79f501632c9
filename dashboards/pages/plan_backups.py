"""Backups that a plan waits for: how far each seat's is, and why the start has to wait. Pure.

The plan says whether it backs up, captures say how far each seat is. Once a capture is told no more, the library tells
that there is a backup that is younger than the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.desk_rules import to_overwrite
from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView, SessionView
from dashboards.pages.capture_words import CAPTURE_SIGNS, name_of_backup
from dashboards.pages.moments import moment_of
from dashboards.pages.quantities import NOTHING, count_in_words, share_in_words
from dashboards.pages.seat_words import plain
from protocol.capture import CaptureStep

MOST_NAMED: Final = 3
"""[seats] that one sentence names"""

IN_LIBRARY: Final = CAPTURE_SIGNS[CaptureStep.DONE].word


@dataclass(frozen=True, slots=True)
class SeatBackup:
    """How far the backup of one seat is."""

    words: str
    share: float
    """0 to 1; -1 for none that will come"""


NONE_YET: Final = SeatBackup("none yet", 0.0)
"""of a capture that is not told of yet, or failed too long ago to be told of"""


def captures_of_plan(session: SessionView, picture: FleetView) -> dict[str, CaptureView]:
    """By machine of the plan's seats: the last backup that is told of, but none that was there before the plan."""
    machines = {seat.machine for seat in session.seats}
    return {
        one.machine: one
        for one in picture.captures
        if one.is_backup
        and one.machine in machines
        and (one.step is not CaptureStep.DONE or one.began_at >= session.opened_at)
    }


def backups_of_plan(session: SessionView, picture: FleetView) -> dict[str, SeatBackup]:
    """By machine: how far its backup is; empty for a plan that makes none."""
    if not session.backs_up:
        return {}
    created = {(image.name, moment_of(image.created) or 0.0) for image in picture.images}
    kept = {name for name, at in created if at >= session.opened_at}
    found = {
        seat.machine: SeatBackup(IN_LIBRARY, 1.0) if name_of_backup(seat.machine) in kept else NONE_YET
        for seat in session.seats
        if seat.machine
    }
    for machine, capture in captures_of_plan(session, picture).items():
        found[machine] = _backup(capture)
    return found


def words_of(backups: Mapping[str, SeatBackup], machine: str) -> str:
    """What stands in the table."""
    backup = backups.get(machine)
    return NOTHING if backup is None else backup.words


def why_it_waits(session: SessionView, picture: FleetView) -> str:
    """Which backups the start waits for; empty when it need not wait.

    It tells no shares: whoever listens would be told anew each second.
    """
    backups = backups_of_plan(session, picture)
    mine = [(seat, backups[seat.machine]) for seat in to_overwrite(session) if seat.machine in backups]
    waiting = [plain(seat.name) for seat, backup in mine if 0 <= backup.share < 1]
    if not waiting:
        return ""
    rest = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
    done = sum(backup.share == 1 for _, backup in mine)
    return (
        f"The start waits until every disk is backed up: {done} of {count_in_words(len(mine), 'backup')} in the "
        f"library. Open: {', '.join(waiting[:MOST_NAMED])}{rest}."
    )


def why_it_cannot(session: SessionView, picture: FleetView) -> str:
    """Which backups will never come, and what to do; empty when all can."""
    if not session.backs_up:
        return ""
    seats = {seat.machine: seat.name for seat in to_overwrite(session)}
    failed = [
        one
        for machine, one in captures_of_plan(session, picture).items()
        if machine in seats and one.step in {CaptureStep.REFUSED, CaptureStep.FAILED}
    ]
    if not failed:
        return ""
    reasons = "; ".join(
        f"{plain(seats[one.machine])}: {plain(one.reason) or one.step.value}" for one in failed[:MOST_NAMED]
    )
    rest = f"; and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
    return (
        f"No backup will come of {reasons}{rest}. The plan cannot be started so: stop those seats, or drop it and make "
        "another one."
    )


def _backup(capture: CaptureView) -> SeatBackup:
    match capture.step:
        case CaptureStep.DONE:
            return SeatBackup(IN_LIBRARY, 1.0)
        case CaptureStep.RUNNING:
            return SeatBackup(share_in_words(capture.done), min(0.99, capture.done))
        case CaptureStep.ASKED | CaptureStep.ORDERED:
            return SeatBackup("not begun", 0.0)
        case _:
            return SeatBackup(CAPTURE_SIGNS[capture.step].word, -1.0)
