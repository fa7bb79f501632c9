"""The played fleet and desk hold what pages are tried with: every state occurs, every order is carried out."""

import asyncio

import pytest

from dashboards.desk import Desk
from dashboards.desk_rules import to_overwrite
from dashboards.fleet.views import SeatState
from dashboards.plan_order import PlanOrder
from protocol.errors import RefusedError, TransportError
from protocol.operators import News, SessionStep, news_topic, open_news, signed_news
from protocol.signing import SigningKey
from tests.dashboards.played_desk import ADMIN, OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_ROOM, PlayedFleet


def test_it_is_a_desk() -> None:
    desk: Desk = PlayedDesk()
    assert desk.fleet().rooms[0].name == "Room 1"


def test_every_seat_state_occurs() -> None:
    desk = PlayedDesk(PlayedFleet(seats=14))
    seen = {seat.state for seat in desk.fleet().rooms[0].seats}
    tsi = asyncio.run(desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu")))
    for second in range(160):
        if second == 7:
            session = desk.session(tsi)
            assert session is not None
            asyncio.run(desk.start(OPERATOR, tsi, "Room 1", len(to_overwrite(session))))
        desk.advance()
        seen |= {seat.state for seat in desk.fleet().rooms[0].seats}
    assert seen == set(SeatState)


def test_a_plan_goes_on_to_verified() -> None:
    desk = PlayedDesk(PlayedFleet(seats=6, orderly=True))
    tsi = asyncio.run(desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu")))
    with pytest.raises(RefusedError, match="type Room 1 to confirm"):
        asyncio.run(desk.start(OPERATOR, tsi, "Room 2", 6))
    asyncio.run(desk.start(OPERATOR, tsi, "Room 1", 6))
    desk.advance(200)
    session = desk.session(tsi)
    assert session is not None
    assert session.step is SessionStep.ENDED
    assert {seat.state for seat in session.seats} == {SeatState.VERIFIED}
    assert session.spread.minimum == 1.0
    report = asyncio.run(desk.report(VIEWER, tsi))
    assert sum(seat["verified"] for seat in report["seats"]) == 6


def test_the_same_play_is_played_again() -> None:
    def play() -> list[News]:
        fleet = PlayedFleet(rooms=2, seats=20, hostile=True)
        fleet.start(fleet.plan("Room 2"))
        return fleet.run(90)

    assert play() == play()


def test_everything_that_is_played_can_be_said() -> None:
    director = SigningKey(bytes(32))
    fleet = PlayedFleet(seats=120, hostile=True)
    fleet.start(fleet.plan("Room 1"))
    for news in fleet.run(2) + fleet.run(30)[-20:]:
        assert open_news(news_topic(news), signed_news(news, director), director.public) == news
    assert any(session.room == HOSTILE_ROOM for session in fleet.sessions.values())


def test_orders_of_every_kind() -> None:
    desk = PlayedDesk()
    asyncio.run(desk.admit(OPERATOR, (desk.fleet().applicants[0].receiver_id,)))
    assert "pc-new-1" in {seat.name for seat in desk.fleet().tray}
    asyncio.run(desk.refuse(OPERATOR, (desk.fleet().applicants[0].receiver_id,)))
    assert not desk.fleet().applicants
    desk.place(OPERATOR, "Room 1", "04", "guest-1")
    assert "guest-1" not in {seat.machine for seat in desk.fleet().tray}
    assert asyncio.run(desk.import_image(ADMIN, "/srv/new.img", "new", lambda share, text: None)) == ("new", 1)
    assert asyncio.run(desk.remove_image(ADMIN, "new", 1)) > 0
    assert asyncio.run(desk.wake(OPERATOR, "Room 1")) == len(desk.woken)
    tsi = asyncio.run(desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu")))
    with pytest.raises(RefusedError, match="takes part in the plan of otto"):
        asyncio.run(desk.plan(ADMIN, PlanOrder(room="Room 1", image="lab-ubuntu")))
    asyncio.run(desk.stop(OPERATOR, tsi))
    assert {seat.state for seat in desk.fleet().rooms[0].seats} == {SeatState.IDLE, SeatState.OFF, SeatState.EMPTY}
    with pytest.raises(RefusedError, match="may not plan sessions: it takes the role operator"):
        asyncio.run(desk.plan(VIEWER, PlanOrder(room="Room 1", image="lab-ubuntu")))
    desk.is_broadcaster_there = False
    desk.advance(6)
    assert not desk.fleet().health.is_broadcaster_heard
    with pytest.raises(TransportError):
        asyncio.run(desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu")))
