"""Backups that a plan waits for: how far each seat's is, and why the start has to wait. Pure.

A plan does not say whether it backs up; its seats' captures do. Once a capture is told no more, the library tells that
there is a backup that is younger than the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.desk_rules import to_overwrite
from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView, SessionView
from dashboards.pages.capture_words import CAPTURE_SIGNS, backups_in_words, name_of_backup
from dashboards.pages.moments import moment_of
from dashboards.pages.quantities import NOTHING, share_in_words
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


def captures_of_plan(session: SessionView, picture: FleetView) -> dict[str, CaptureView]:
    """By machine of the plan's seats: the last backup of it that is told of."""
    machines = {seat.machine for seat in session.seats}
    return {one.machine: one for one in picture.captures if one.is_backup and one.machine in machines}


def backups_of_plan(session: SessionView, picture: FleetView) -> dict[str, SeatBackup]:
    """By machine: how far its backup is; machines of which nothing is known are left out."""
    created = {(image.name, moment_of(image.created) or 0.0) for image in picture.images}
    kept = {name for name, at in created if at >= session.opened_at}
    found = {
        seat.machine: SeatBackup(IN_LIBRARY, 1.0)
        for seat in session.seats
        if seat.machine and name_of_backup(seat.machine) in kept
    }
    for machine, capture in captures_of_plan(session, picture).items():
        found[machine] = _backup(capture)
    return found


def words_of(backups: Mapping[str, SeatBackup], machine: str) -> str:
    """What stands in the table."""
    backup = backups.get(machine)
    return NOTHING if backup is None else backup.words


def why_it_waits(session: SessionView, picture: FleetView) -> str:
    """Which backups the start waits for; empty when it need not wait."""
    captures = captures_of_plan(session, picture)
    seats = {seat.machine: seat.name for seat in to_overwrite(session)}
    open_ones = [one for machine, one in captures.items() if machine in seats and one.is_open]
    if not open_ones:
        return ""
    named = ", ".join(f"{plain(seats[one.machine])} ({_backup(one).words})" for one in open_ones[:MOST_NAMED])
    rest = f" and {len(open_ones) - MOST_NAMED} more" if len(open_ones) > MOST_NAMED else ""
    mine = [one for machine, one in captures.items() if machine in seats]
    return f"The start waits until every disk is backed up: {backups_in_words(mine)}. Open: {named}{rest}."


def why_it_cannot(session: SessionView, picture: FleetView) -> str:
    """Which backups will never come, and what to do; empty when all can."""
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
        f"No backup will come of {reasons}{rest}. A plan that backs up its seats cannot be started so: stop those "
        "seats, or drop the plan and make another one."
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
