import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcaster.configurations.shelf import NONE
from broadcaster.host import restores as module
from broadcaster.host.attendance import Attendance
from broadcaster.host.hosting import Hosting
from broadcaster.host.policies import Policies
from broadcaster.host.restores import Restores
from broadcaster.host.sessions import Sessions
from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import ConfigError, LibraryError
from protocol.operators import ImageNews
from protocol.seat_api import RestoreOffer, RestoreWish
from tests.broadcaster.host.hosted_room import HostedRoom
from tests.sample_messages import presence

TSI = "00000000000000aa"
SEAT = PlannedSeat(machine="aa", seat="seat 1", hostname="pc-1")
POLICY = SetRoomPolicy(room="R1", image="lab", allows_restore=True, seats=(SEAT,))
WISH = RestoreWish(image="lab", version=2)


def image(version: int, *, is_signed: bool = True, name: str = "lab") -> ImageNews:
    return ImageNews(
        name=name, version=version, created="2026", disk_size=1, stored_bytes=1, is_signed=is_signed, sessions=()
    )


class Room:
    """A room with one seat, whose sessions are as a test says."""

    def __init__(self, policies: Policies) -> None:
        self.attendance = Attendance()
        self.attendance.hear(presence(1, machine="aa"), 0.0)
        self.receiver_id = presence(1).receiver_id
        self.policies = policies
        self.images = [image(2), image(1)]
        self.planned: list[Any] = []
        self.running: list[Any] = []
        self.added: list[Any] = []
        self.session: Any = SimpleNamespace(
            tsi=TSI, is_over=False, seats=list, has_looked=lambda: False, note=lambda *_: None, broadcast=self
        )
        sessions = SimpleNamespace(
            plan=self._plan, open=lambda: self.running, need=lambda tsi: self.session, why_not_backed_up=lambda _: ""
        )
        self.aborted = ""
        self.restores = Restores(policies, cast(Sessions, sessions), self.attendance, lambda: self.images, self._check)

    def _check(self, hosting: Hosting) -> str:
        if hosting.configuration == "broken":
            raise ConfigError("broken.toml: 'prinetr' is undefined")
        return hosting.configuration or NONE

    async def _plan(self, hosting: Any) -> str:
        self.planned.append(hosting)
        return TSI

    def abort(self, reason: str) -> None:
        self.aborted, self.session.is_over = reason, True

    def run(self, *wishes: RestoreWish) -> list[Any]:
        async def ask() -> list[Any]:
            answers = [await self.restores.wish(self.receiver_id, wish) for wish in wishes]
            await self.restores.close()
            return answers

        return asyncio.run(ask())


@pytest.fixture
def room(tmp_path: Any) -> Room:
    policies = Policies(tmp_path)
    policies.hold(POLICY)
    return Room(policies)


def test_a_seat_is_offered_the_newest_image_of_its_room(room: Room) -> None:
    assert room.restores.place_of(room.receiver_id) == ("seat 1", "R1")
    assert room.restores.offer(room.receiver_id) == RestoreOffer(image="lab", version=2, created="2026")


@pytest.mark.parametrize(
    ("changes", "images"),
    [
        ({"allows_restore": False}, [image(2)]),
        ({"image": ""}, [image(2)]),
        ({}, []),
        ({}, [image(2, is_signed=False)]),
        ({}, [image(2, name="other")]),
        ({"version": 3}, [image(2)]),
        ({"seats": ()}, [image(2)]),
    ],
)
def test_nothing_is_offered_where_the_room_does_not_allow_it_or_has_no_such_image(
    room: Room, changes: dict[str, Any], images: list[ImageNews]
) -> None:
    fields = {"room": "R1", "image": "lab", "allows_restore": True, "seats": (SEAT,), **changes}
    room.policies.hold(SetRoomPolicy(**fields))
    room.images = images
    assert room.restores.offer(room.receiver_id) is None
    (answer,) = room.run(WISH)
    assert answer.tsi == ""
    assert "ask an operator" in answer.refusal
    assert room.planned == []


def test_a_stranger_is_offered_nothing(room: Room) -> None:
    stranger = presence(2).receiver_id
    assert room.restores.offer(stranger) is None
    assert room.restores.place_of(stranger) == ("", "")


def test_a_certain_version_is_offered_where_the_policy_names_one(room: Room) -> None:
    room.policies.hold(SetRoomPolicy(room="R1", image="lab", version=1, allows_restore=True, seats=(SEAT,)))
    offer = room.restores.offer(room.receiver_id)
    assert offer is not None
    assert offer.version == 1


def test_a_wish_opens_a_plan_for_that_seat_alone(room: Room) -> None:
    (answer,) = room.run(WISH)
    assert answer.tsi == TSI
    (hosting,) = room.planned
    assert (hosting.room, hosting.image, hosting.version, hosting.seats) == ("R1", "lab", 2, (SEAT,))
    assert hosting.ordered_by == module.BY_SEAT


def test_another_image_than_was_shown_is_refused(room: Room) -> None:
    (answer,) = room.run(RestoreWish(image="lab", version=1))
    assert "look again" in answer.refusal
    assert room.planned == []


def test_a_machine_that_asks_without_end_is_slowed_down(room: Room) -> None:
    first, second = room.run(WISH, WISH)
    assert first.tsi == TSI
    assert "a moment ago" in second.refusal
    assert len(room.planned) == 1


def test_why_no_plan_can_be_opened_is_said_at_the_seat(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Any) -> str:
        raise LibraryError("image lab is damaged")

    monkeypatch.setattr(room.restores._sessions, "plan", fail)
    (answer,) = room.run(WISH)
    assert answer.refusal == "image lab is damaged"


def test_what_cannot_be_done_to_its_disk_afterwards_is_said_before_it_is_overwritten(room: Room) -> None:
    policy = SetRoomPolicy(room="R1", image="lab", allows_restore=True, configuration="broken", seats=(SEAT,))
    room.policies.hold(policy)
    (answer,) = room.run(WISH)
    assert answer.refusal == "broken.toml: 'prinetr' is undefined"
    assert room.planned == []


def running(**changes: Any) -> Any:
    hosting = SimpleNamespace(**{"room": "R1", "image": "lab", "version": 2, "configuration": NONE, **changes})
    state = SimpleNamespace(session=SimpleNamespace(is_held=changes.get("is_held", False)))
    added: list[Any] = []
    return SimpleNamespace(
        tsi="cast", hosting=hosting, has_opened=True, is_over=False, broadcast=state, added=added,
        add_seat=lambda seat, _operator: added.append(seat),
    )  # fmt: skip


def test_a_session_of_the_same_image_that_runs_is_joined(room: Room) -> None:
    room.running = [running()]
    (answer,) = room.run(WISH)
    assert answer.tsi == "cast"
    assert room.running[0].added == [SEAT]
    assert room.planned == []


@pytest.mark.parametrize(
    "changes", [{"room": "R2"}, {"image": "x"}, {"version": 1}, {"configuration": "x"}, {"is_held": True}]
)
def test_another_session_is_not_joined(room: Room, changes: dict[str, Any]) -> None:
    room.running = [running(**changes)]
    (answer,) = room.run(WISH)
    assert answer.tsi == TSI
    assert room.running[0].added == []


def test_nobody_joins_before_its_backup_is_taken(room: Room) -> None:
    room.policies.hold(SetRoomPolicy(room="R1", image="lab", allows_restore=True, backs_up=True, seats=(SEAT,)))
    room.running = [running()]
    (answer,) = room.run(WISH)
    assert answer.tsi == TSI
    assert room.planned[0].backs_up


def test_a_plan_that_nobody_joins_is_dropped(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_PATIENCE", 0.0)
    monkeypatch.setattr(module, "LOOK_PERIOD", 0.001)

    async def ask() -> None:
        await room.restores.wish(room.receiver_id, WISH)
        await asyncio.gather(*room.restores._tasks)

    asyncio.run(ask())
    assert room.aborted == "nobody joined"


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_seat_restores_itself_for_real(hosted: HostedRoom) -> None:
    async with hosted.host() as (host, operator):
        host._policies.hold(
            SetRoomPolicy(room="R1", image="lab", allows_restore=True, seats=(PlannedSeat(machine="a", seat="seat a"),))
        )
        hosted.receive("a", "--countdown", "0")
        await operator.until(lambda: operator.machines() == {"a"}, "the receiver")
        receiver_id = operator.receivers[0].receivers[0].receiver_id
        offer = host.restores.offer(receiver_id)
        assert offer is not None
        answer = await host.restores.wish(receiver_id, RestoreWish(image=offer.image, version=offer.version))
        assert answer.refusal == ""
        await operator.until(lambda: operator.outcomes(answer.tsi) == {"seat a": "verified"}, "the restored disk")
        assert operator.sessions[answer.tsi].ordered_by == module.BY_SEAT
    assert hosted.targets["a"].read_bytes() == hosted.source.read_bytes()


def test_a_seat_is_told_what_somebody_has_to_mend(room: Room) -> None:
    assert room.restores.notice(room.receiver_id) == ""
    room.attendance.hear(presence(2, machine="bb"), 1.0)
    assert room.restores.notice(presence(2).receiver_id) == module.NO_PLACE
    room.attendance.hear(presence(3, machine="aa"), 1.0)
    room.attendance.hear(presence(1, machine="aa"), 2.0)
    for number in (1, 3):
        assert "Another PC says that it is aa too" in room.restores.notice(presence(number).receiver_id)
    assert room.restores.notice(presence(4).receiver_id) == ""


def test_where_no_room_was_ever_told_of_no_seat_is_missed(tmp_path: Any) -> None:
    room = Room(Policies(tmp_path))
    assert room.restores.notice(room.receiver_id) == ""
