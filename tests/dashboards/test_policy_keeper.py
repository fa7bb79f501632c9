import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dashboards import policy_keeper as module
from dashboards.policy_keeper import PolicyKeeper, policy_of
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, RoomPolicy, Rooms
from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import RefusedError

POLICY = RoomPolicy(image="lab", allows_restore=True, backs_up=True, backups_kept=2)


def room(name: str, machine: str = "aa", policy: RoomPolicy = POLICY) -> Room:
    seat = msgspec.structs.replace(laid_out(name, 1, 1).seats[0], machine=machine, hostname="pc-1")
    return Room(name=name, seats=(seat,), policy=policy)


async def settled(is_so: Callable[[], bool]) -> None:
    """Let the keeper's own turns pass until it is so."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")


class Site:
    """Rooms, and a broadcaster that notes what it is ordered."""

    def __init__(self, *rooms: Room) -> None:
        self.rooms = Rooms(rooms=rooms)
        self.generation = "1"
        self.refuses = ""
        self.told: list[SetRoomPolicy] = []
        self.keeper = PolicyKeeper(lambda: self.rooms, lambda: self.generation, self._order)

    async def _order(self, policy: SetRoomPolicy, operator: str) -> dict[str, Any]:
        assert operator == module.BY_CONSOLE
        if policy.room == self.refuses:
            raise RefusedError("no more rooms")
        self.told.append(policy)
        return {}

    def look(self) -> list[SetRoomPolicy]:
        self.told = []
        asyncio.run(self.keeper.look())
        return self.told


def test_the_broadcaster_is_told_each_room_once() -> None:
    site = Site(room("A"), Room(name="B"))
    assert site.look() == [
        SetRoomPolicy(
            room="A",
            image="lab",
            allows_restore=True,
            backs_up=True,
            backups_kept=2,
            seats=(PlannedSeat(machine="aa", seat="01", hostname="pc-1"),),
        ),
        SetRoomPolicy(room="B"),
    ]
    assert site.look() == []


def test_it_is_told_what_changed_and_who_is_gone_first() -> None:
    site = Site(room("A"), room("B", "bb"))
    site.look()
    site.rooms = Rooms(rooms=(room("B", "aa"),))
    assert site.look() == [SetRoomPolicy(room="A"), policy_of(room("B", "aa"))]


def test_a_broadcaster_that_was_started_again_is_told_all() -> None:
    site = Site(room("A"))
    site.look()
    site.generation = "2"
    assert len(site.look()) == 1


def test_nobody_is_told_while_no_broadcaster_is_heard() -> None:
    site = Site(room("A"))
    site.generation = ""
    assert site.look() == []


def test_what_is_refused_is_told_again_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_INTERVAL", 0.0)
    monkeypatch.setattr(module, "TRY_AGAIN_AFTER", 0.0)

    async def live() -> list[str]:
        site = Site(room("A"), room("B", "bb"))
        site.refuses = "B"
        problems = []
        async with site.keeper:
            await settled(lambda: bool(site.keeper.problem))
            problems.append(site.keeper.problem)
            site.refuses = ""
            await settled(lambda: not site.keeper.problem)
            problems.append(site.keeper.problem)
        assert [policy.room for policy in site.told] == ["A", "B"]
        return problems

    assert asyncio.run(live()) == ["The policy of a room does not hold: no more rooms.", ""]
