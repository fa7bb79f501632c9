"""What was done to the disks of a played session: one of three is not done yet, one has failed."""

from typing import Any

from dashboards.fleet.views import SeatView

STEPS = (
    ("grow", "partition 3 has 498 GB now"),
    ("identity", "disk and partitions have new identities"),
    ("hostname", "is named"),
    ("boot-entry", "the firmware boots from this disk"),
)
FAILURE = "the firmware refused a boot entry: its memory is full; delete old entries in its setup"


def played_aftercare(seat: SeatView, index: int) -> dict[str, Any]:
    """Of one seat, as the broadcaster answers it."""
    is_failed, is_running = index % 12 == 2, index % 12 == 5
    steps = [{"name": name, "is_done": True, "text": text} for name, text in STEPS]
    if is_failed:
        steps[-1].update(is_done=False, text=FAILURE)
    if is_running:
        steps = [*steps[:1], {"name": "identity", "is_done": False, "text": ""}]
    return {
        "machine": seat.machine,
        "seat": seat.name,
        "steps": steps,
        "error": f"boot-entry: {FAILURE}" if is_failed else "",
        "booted_at": None if is_failed or is_running else 1_790_000_100.0 + index,
    }
