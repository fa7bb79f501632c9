"""The operators' desk: everything that an operator can do, in one place for the pages and the API.

Each call asks the user's role first, then judges what was typed, then orders it of the broadcaster. A refusal is one
sentence that says what to do; nothing is half-applied.
"""

from collections.abc import Callable
from typing import Any, Protocol

from dashboards.backup_desk import BackupDesk
from dashboards.capture_desk import CaptureDesk
from dashboards.fleet.views import FleetView, SessionView
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import Rooms
from dashboards.user import User

Progress = Callable[[float, str], object]
"""told share (0 to 1) and words of work that takes time"""


class Desk(Protocol):
    """What pages and routes are written against.

    Every method raises RefusedError (the role may not, or it makes no sense now; the text says what to do),
    MessageError (what was typed is malformed) or TransportError (the broadcaster does not answer).
    """

    @property
    def captures(self) -> CaptureDesk:
        """What can be done about captures."""

    @property
    def backups(self) -> BackupDesk:
        """Backups of seats, and what puts them back."""

    def fleet(self) -> FleetView:
        """The picture as it is now; cheap, made at most a few times a second."""

    def session(self, tsi: str) -> SessionView | None:
        """One session of the picture."""

    def rooms(self) -> Rooms:
        """All rooms as they are saved."""

    def save_rooms(self, user: User, rooms: Rooms) -> Rooms:
        """Replace all rooms; ``rooms.revision`` names the revision that was edited. Returns what is saved now."""

    def place(self, user: User, room: str, seat: str, machine: str) -> Rooms:
        """Put a machine on a seat, and take it off where it was; an empty machine clears the seat."""

    def room_revisions(self, user: User) -> tuple[Any, ...]:
        """Who saved the rooms when, the newest first: ``dashboards.rooms.rooms_file.Origin``."""

    def restore_rooms(self, user: User, revision: int) -> Rooms:
        """Make the rooms of an earlier revision those in force, as a new one."""

    async def plan(self, user: User, order: PlanOrder) -> str:
        """Open a plan for the machines of the room that are there; returns its tsi. Nothing is written."""

    async def start(self, user: User, tsi: str, typed_room: str, typed_count: int) -> None:
        """Start a plan: its room's name and the number of seats to be overwritten have to be typed."""

    async def stop(self, user: User, tsi: str) -> None:
        """End a session or drop a plan."""

    async def pause(self, user: User, tsi: str) -> None:
        """Send nothing until it is continued."""

    async def resume(self, user: User, tsi: str) -> None:
        """Go on with a paused session."""

    async def move_to_catch_up(self, user: User, tsi: str, receiver_id: str) -> None:
        """Let one seat fetch what it misses by itself."""

    async def dismiss(self, user: User, tsi: str, receiver_id: str) -> None:
        """Stop one seat."""

    async def retry(self, user: User, tsi: str, machines: tuple[str, ...]) -> str:
        """Open a plan for seats of a session that did not finish; returns its tsi."""

    async def admit(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        """Let applicants in."""

    async def refuse(self, user: User, receiver_ids: tuple[str, ...]) -> None:
        """Send applicants away."""

    async def wake(self, user: User, room: str) -> int:
        """Wake the machines of a room; returns how many have an address to wake."""

    async def boot(self, user: User, room: str, seconds: int, mode: str = "receive") -> int:
        """Let the machines of a room boot the environment when they start next; 0 takes that back. How many."""

    async def import_image(self, user: User, path: str, name: str, progress: Progress) -> tuple[str, int]:
        """Add an image by its path on the broadcaster's machine; returns name and version. Admin."""

    async def verify_image(self, user: User, name: str, version: int, progress: Progress) -> dict[str, Any]:
        """{"damaged": count, "details": [text]}. Operator."""

    async def remove_image(self, user: User, name: str, version: int) -> int:
        """Returns the bytes that were freed. Admin."""

    async def shrink_image(
        self, user: User, name: str, version: int, disk_size: int, progress: Progress
    ) -> tuple[str, int, int]:
        """Add a version that fits on a disk of ``disk_size`` bytes, 0 for as small as it gets. Returns name, version
        and bytes of its disk. Admin.
        """

    async def compare_versions(self, user: User, name: str, old_version: int, new_version: int) -> dict[str, Any]:
        """{"changed_bytes", "stored_bytes", "ranges"}; see ``protocol.commands.CompareVersions``."""

    async def report(self, user: User, tsi: str) -> dict[str, Any]:
        """The signed report of a session that has ended, as JSON values; from the history where it is there."""

    async def aftercare(self, user: User, tsi: str) -> dict[str, Any]:
        """What was done to the disks of a session once they were verified; see ``protocol.commands.FetchAftercare``."""

    async def audit(self, user: User, count: int) -> dict[str, Any]:
        """{"entries", "is_intact", "verdict"}. Admin."""

    def history(self, user: User, *, room: str = "", limit: int = 100, before: float | None = None) -> list[Any]:
        """Sessions that have ended, the newest first: ``dashboards.history.records.PastSession``."""

    async def past_session(self, user: User, tsi: str) -> Any | None:
        """One session of the history with its seats, happenings and samples: ``PastSession``."""

    async def machine_history(self, user: User, machine: str) -> list[Any]:
        """The sessions of one PC, the newest first: ``dashboards.history.records.SeatRun``."""
