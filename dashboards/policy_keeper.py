"""Tells the broadcaster what holds in each room when no operator is there, and again when it has forgotten.

It looks each LOOK_INTERVAL seconds at the rooms as they are saved. What the broadcaster of this generation was not yet
told is ordered of it, one room at a time; a room that is gone gets the policy of none. What it refuses is a problem
that operators read, and is tried again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from dashboards.rooms.rooms import Room, Rooms
from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import SlatecastError

LOOK_INTERVAL: Final = 2.0
"""[s] Rooms change by hand; whoever saved one expects it to hold by the time that he has walked there."""

TRY_AGAIN_AFTER: Final = 15.0
"""[s] Chosen: what was refused is rarely taken a moment later, and orders are logged."""

BY_CONSOLE: Final = "console"
"""who orders it: the rooms themselves say who saved them"""

Order = Callable[[SetRoomPolicy, str], Awaitable[dict[str, Any]]]

_logger = logging.getLogger(__name__)


class PolicyKeeper:
    """Runs for as long as the context is entered.

    Args:
        rooms: as they are saved.
        generation: of the broadcaster as it runs now; empty while none is heard.
        order: carries an order to it; may raise any error of ours.
    """

    def __init__(self, rooms: Callable[[], Rooms], generation: Callable[[], str], order: Order) -> None:
        self.problem = ""
        """why a room's policy does not hold, in one sentence; empty when all do"""
        self._rooms = rooms
        self._generation = generation
        self._order = order
        self._told_generation = ""
        self._told: dict[str, SetRoomPolicy] = {}
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._looking = asyncio.create_task(self._look_on(), name="policy keeper")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        assert self._looking is not None
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking

    async def look(self) -> None:
        """Tell what was not told yet. Raises what the order raises; what was told until then is told."""
        generation = self._generation()
        if not generation:
            return
        if generation != self._told_generation:
            self._told_generation, self._told = generation, {}
        for policy in self._to_tell():
            await self._order(policy, BY_CONSOLE)
            self._told[policy.room] = policy

    def _to_tell(self) -> list[SetRoomPolicy]:
        wanted = {room.name: policy_of(room) for room in self._rooms().rooms}
        gone = [SetRoomPolicy(room=name) for name in self._told if name not in wanted]
        # The rooms that are gone come first: a machine may have moved from one of them.
        return [policy for policy in (*gone, *wanted.values()) if self._told.get(policy.room) != policy]

    async def _look_on(self) -> None:
        while True:
            try:
                await self.look()
                self.problem = ""
            except SlatecastError as error:
                self.problem = f"The policy of a room does not hold: {error}."
                _logger.warning("the broadcaster does not take the policy of a room: %s", error)
                await asyncio.sleep(TRY_AGAIN_AFTER)
            await asyncio.sleep(LOOK_INTERVAL)


def policy_of(room: Room) -> SetRoomPolicy:
    """What the broadcaster has to know of a room."""
    policy = room.policy
    return SetRoomPolicy(
        room=room.name,
        image=policy.image,
        version=policy.version,
        configuration=policy.configuration,
        allows_restore=policy.allows_restore,
        backs_up=policy.backs_up,
        backups_kept=policy.backups_kept,
        seats=tuple(
            PlannedSeat(machine=seat.machine, seat=seat.name, hostname=seat.hostname)
            for seat in room.seats
            if seat.machine
        ),
    )
