"""How captures and what they found look and read: signs, and sentences about a disk on its way. Pure."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView, SeatView, SessionView
from dashboards.pages.quantities import bytes_in_words, share_in_words
from dashboards.pages.seat_words import Sign, Tone, plain
from protocol.backup_names import backup_name, is_backup
from protocol.capture import CaptureStep, FindingKind
from protocol.errors import ConfigError

CAPTURE_SIGNS: Final = {
    CaptureStep.ASKED: Sign("front_hand", "waits for an operator", Tone.WAITING),
    CaptureStep.ORDERED: Sign("hourglass_top", "ordered, has not begun", Tone.WAITING),
    CaptureStep.RUNNING: Sign("drive_folder_upload", "running", Tone.BUSY),
    CaptureStep.DONE: Sign("check_circle", "in the library", Tone.GOOD),
    CaptureStep.REFUSED: Sign("block", "refused", Tone.BAD),
    CaptureStep.FAILED: Sign("error", "failed", Tone.BAD),
}

FINDING_SIGNS: Final = {
    FindingKind.WARNING: Sign("warning", "warning", Tone.SLOW),
    FindingKind.REFUSAL: Sign("block", "refuses the capture", Tone.BAD),
}

ACCEPTABLE: Final = {
    "dirty": "a file system that was not cleanly unmounted",
    "hibernated": "a hibernated system",
    "bitlocker": "a file system that BitLocker encrypts",
    "failing-disk": "a disk that is failing",
}
"""What refuses a capture unless an operator accepts it, by its code."""

NEVER_BEGAN: Final = frozenset({CaptureStep.ASKED, CaptureStep.ORDERED})


def places(picture: FleetView) -> dict[str, str]:
    """By machine: the seat that it stands on, in words; what a machine without a seat calls itself."""
    seats = {
        seat.machine: f"{plain(seat.name)} in {plain(room.name)}"
        for room in picture.rooms
        for seat in room.seats
        if seat.machine
    }
    return {seat.machine: plain(seat.name) for seat in picture.tray} | seats


def machines_there(picture: FleetView) -> Iterator[SeatView]:
    """Seats and guests whose machines are switched on, in the order of the rooms."""
    for room in picture.rooms:
        yield from (seat for seat in room.seats if seat.machine and seat.receiver_id)
    yield from (seat for seat in picture.tray if seat.machine)


def backed_up_machines(picture: FleetView) -> dict[str, str]:
    """By the name of a backup: where its machine stands, in words."""
    return {name: place for machine, place in places(picture).items() if (name := name_of_backup(machine))}


def image_in_words(picture: FleetView, session: SessionView) -> str:
    """What a session is of: "lab-ubuntu version 2", "Backup of 07 in Lab 1, version 3"."""
    place = backed_up_machines(picture).get(session.image) if is_backup(session.image) else None
    what = f"Backup of {place}," if place else plain(session.image)
    return f"{what} version {session.version}"


def plan_in_words(picture: FleetView, session: SessionView) -> str:
    """What a plan puts where: "lab-ubuntu version 2 for Lab 1", "Backup of 07 in Lab 1, version 3"."""
    what = image_in_words(picture, session)
    return what if is_backup(session.image) else f"{what} for {plain(session.room)}"


@lru_cache(maxsize=8192)
def name_of_backup(machine: str) -> str:
    """The image of a machine's backups; empty for what is no machine."""
    try:
        return backup_name(machine)
    except ConfigError:
        return ""


def title_in_words(capture: CaptureView, place: str) -> str:
    """What is captured into what: "07 in Lab 1 into lab-ubuntu", "Backup of 07 in Lab 1"."""
    where = place or plain(capture.seat) or plain(capture.machine)
    return f"Backup of {where}" if capture.is_backup else f"{where} into {plain(capture.image)}"


def figures_in_words(capture: CaptureView) -> str:
    """How far it is: "42 % · 12 GB read, 1.1 GB sent · /dev/sda, 500 GB"."""
    parts = []
    if capture.step is CaptureStep.RUNNING:
        parts.append(share_in_words(capture.done))
    if capture.step not in NEVER_BEGAN and (capture.read_bytes or capture.sent_bytes):
        parts.append(f"{bytes_in_words(capture.read_bytes)} read, {bytes_in_words(capture.sent_bytes)} sent")
    disk = [plain(capture.target)] if capture.target else []
    disk += [bytes_in_words(capture.disk_size)] if capture.disk_size else []
    return " · ".join([*parts, ", ".join(disk)] if disk else parts)


def outcome_in_words(capture: CaptureView) -> str:
    """Why it was refused or failed, what it has become, or what was found first."""
    if capture.step is CaptureStep.DONE:
        what = "its backup" if capture.is_backup else plain(capture.image)
        words = f"It is version {capture.version} of {what}."
        return f"{words} {plain(capture.reason)}" if capture.reason else words
    return plain(capture.reason)


def origin_in_words(capture: CaptureView) -> str:
    """Who wanted it."""
    return f"ordered by {plain(capture.ordered_by)}" if capture.ordered_by else "asked for at the machine"


def image_names(picture: FleetView) -> list[str]:
    """Names under which a machine can be captured as the next version."""
    return list(dict.fromkeys(image.name for image in picture.images if not is_backup(image.name)))


def what_it_becomes(picture: FleetView, name: str) -> str:
    """Which image a capture of that name would be; empty for no name."""
    versions = [image.version for image in picture.images if image.name == name]
    if versions:
        return f"It becomes version {max(versions) + 1} of {plain(name)}; the versions that are there stay."
    return f"It becomes the first version of {plain(name)}." if name else ""
