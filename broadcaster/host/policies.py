"""What holds in each room when no operator is there, kept across restarts.

The console says it (``SetRoomPolicy``), one room at a time; what it said last of a room holds. One file in the library,
replaced as a whole. A machine stands in one room: where two policies name it, the one that was said last counts.
"""

from pathlib import Path
from typing import Final

import msgspec

from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import LibraryError, RefusedError
from protocol.link.whole_file import replace_whole

POLICIES_FILE: Final = "policies.json"

MAX_POLICIES: Final = 500
"""[rooms] as many as a console manages"""

MAX_POLICIES_FILE: Final = 16 << 20
"""[bytes] of 20,000 seats with long names; stops a file that is none from filling the memory"""


class Policies:
    """The policies of all rooms, by room and by machine; ``folder`` is where their file lies.

    Raises:
        LibraryError: the file is there and cannot be read, or is none.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / POLICIES_FILE
        self._by_room: dict[str, SetRoomPolicy] = {}
        self._places: dict[str, tuple[str, PlannedSeat]] = {}
        for policy in self._read():
            self._take(policy)

    def hold(self, policy: SetRoomPolicy) -> bool:
        """Let this policy hold in its room; whether that changes anything. Writes a file when it does.

        Raises:
            RefusedError: too many rooms.
            LibraryError: the file cannot be written; what held before still holds.
        """
        if self._by_room.get(policy.room) == policy:
            return False
        if policy.room not in self._by_room and len(self._by_room) >= MAX_POLICIES:
            raise RefusedError(f"{MAX_POLICIES} rooms have a policy already: take one away first")
        changed = {**self._by_room, policy.room: policy}
        if policy == SetRoomPolicy(room=policy.room):
            del changed[policy.room]
        try:
            replace_whole(self._path, msgspec.json.encode(list(changed.values())), mode=0o600)
        except OSError as error:
            raise LibraryError(f"{self._path}: {error.strerror or error}") from error
        self._take(policy)
        return True

    def of(self, room: str) -> SetRoomPolicy:
        """What holds in a room; the defaults where nobody said anything."""
        return self._by_room.get(room) or SetRoomPolicy(room=room)

    def place_of(self, machine: str) -> tuple[SetRoomPolicy, PlannedSeat] | None:
        """The policy that holds for a machine, and its seat."""
        place = self._places.get(machine)
        return None if place is None else (self.of(place[0]), place[1])

    def all(self) -> tuple[SetRoomPolicy, ...]:
        """Those that hold, in the order in which their rooms were first said."""
        return tuple(self._by_room.values())

    def _take(self, policy: SetRoomPolicy) -> None:
        self._places = {machine: place for machine, place in self._places.items() if place[0] != policy.room}
        self._places.update({seat.machine: (policy.room, seat) for seat in policy.seats})
        if policy == SetRoomPolicy(room=policy.room):
            self._by_room.pop(policy.room, None)
        else:
            self._by_room[policy.room] = policy

    def _read(self) -> list[SetRoomPolicy]:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_POLICIES_FILE + 1)
            if len(data) > MAX_POLICIES_FILE:
                raise LibraryError(
                    f"{self._path}: longer than {MAX_POLICIES_FILE} bytes; remove it, and save the rooms"
                )
            return msgspec.json.decode(data, type=list[SetRoomPolicy])
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LibraryError(f"{self._path}: {error.strerror or error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LibraryError(f"{self._path}: {error}; remove it, and save the rooms at the console again") from error
