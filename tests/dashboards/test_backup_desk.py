import pytest

from dashboards.backup_desk import BackupDesk, backups_of, restore_order, seat_named
from dashboards.desk_rules import NO_CONFIGURATION
from dashboards.fleet.fold import Fleet
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import Room, RoomPolicy, Rooms, RoomSeat
from dashboards.user import User
from protocol.backup_names import backup_name
from protocol.errors import RefusedError
from protocol.operators import ImageNews, ImagesNews
from tests.dashboards.fleet.news import GENERATION, NO_HEALTH, host
from tests.dashboards.played_desk import OPERATOR, VIEWER

MACHINE = "52:54:00:12:34:56"
ROOM = Room(
    name="Lab",
    seats=(RoomSeat(name="A1", row=1, column=1, machine=MACHINE), RoomSeat(name="A2", row=1, column=2)),
    policy=RoomPolicy(configuration="windows", backs_up=True),
)
ROOMS = Rooms(rooms=(ROOM,))
FULL, EMPTY = ROOM.seats


def library(*versions: int) -> Fleet:
    names = [(backup_name(MACHINE), version) for version in versions]
    images = tuple(map(image, [*names, (backup_name("another"), 9), ("ubuntu", 4)]))
    fleet = Fleet()
    fleet.receive(host(), 0.0)
    fleet.receive(ImagesNews(generation=GENERATION, sequence=1, page=0, pages=1, images=images), 0.0)
    return fleet


def image(named: tuple[str, int]) -> ImageNews:
    name, version = named
    return ImageNews(
        name=name,
        version=version,
        created="2026-11-20T09:00:00Z",
        disk_size=1 << 30,
        stored_bytes=1 << 20,
        is_signed=True,
        sessions=(),
    )


class Plans:
    def __init__(self, fleet: Fleet) -> None:
        self.opened: list[tuple[User, PlanOrder]] = []
        self.desk = BackupDesk(lambda: ROOMS, lambda: fleet.view(ROOMS, NO_HEALTH, 0.0), self._plan)

    async def _plan(self, user: User, order: PlanOrder) -> str:
        self.opened.append((user, order))
        return "f" * 16


def test_a_seat_has_the_backups_of_its_machine() -> None:
    desk = Plans(library(2, 3, 1)).desk
    assert [each.version for each in desk.of(VIEWER, "lab", "a1")] == [3, 2, 1]
    assert desk.of(VIEWER, "Lab", "A2") == ()
    for room, seat, words in [("Attic", "A1", "there is no room 'Attic'"), ("Lab", "Z", "room Lab has no seat 'Z'")]:
        with pytest.raises(RefusedError, match=words):
            desk.of(VIEWER, room, seat)


@pytest.mark.asyncio
@pytest.mark.parametrize(("asked", "version"), [(0, 3), (2, 2)])
async def test_it_is_put_back_by_a_plan_for_that_seat_alone(asked: int, version: int) -> None:
    plans = Plans(library(2, 3))
    assert await plans.desk.restore(OPERATOR, "lab", "a1", asked) == "f" * 16
    wanted = PlanOrder(
        room="Lab",
        seats=("A1",),
        image=backup_name(MACHINE),
        version=version,
        configuration=NO_CONFIGURATION,
        backs_up=False,
    )
    assert plans.opened == [(OPERATOR, wanted)]


@pytest.mark.asyncio
async def test_what_is_refused_opens_no_plan() -> None:
    plans = Plans(library(2, 3))
    for user, seat, version, words in [
        (VIEWER, "A1", 0, "vera may not plan sessions"),
        (OPERATOR, "A1", 7, "seat A1 has no backup of version 7: choose one of 2, 3"),
        (OPERATOR, "A2", 0, "no machine stands on seat A2"),
    ]:
        with pytest.raises(RefusedError, match=words):
            await plans.desk.restore(user, "Lab", seat, version)
    unheard = Plans(Fleet())
    with pytest.raises(RefusedError, match="not yet told what its library holds"):
        await unheard.desk.restore(OPERATOR, "Lab", "A1")
    assert not plans.opened
    assert not unheard.opened


def test_a_machine_without_backups_is_named() -> None:
    with pytest.raises(RefusedError, match=f"seat A1 has no backup: nothing was captured of machine {MACHINE}"):
        restore_order(ROOM, FULL, [])
    assert backups_of([], "") == ()
    assert seat_named(ROOMS, "LAB", "a2") == (ROOM, EMPTY)
