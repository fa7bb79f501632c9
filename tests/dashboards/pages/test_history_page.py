import dataclasses

import pytest
from nicegui import ui

from dashboards.history.records import PastSession
from dashboards.pages.history_page import NOTHING_YET, PER_PAGE, outcome_sign
from dashboards.pages.seat_words import Tone
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def ended(sessions: int = 1) -> PlayedDesk:
    """A desk whose history holds as many sessions, the same one over and over."""
    desk = PlayedDesk()
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(200)
    (first,) = desk.past
    desk.past = [
        # The desk would keep the first one again if it did not find it by its name.
        dataclasses.replace(
            first,
            tsi=f"{number:016x}" if number else first.tsi,
            room=f"Room {number % 2}",
            ended_at=first.ended_at - number,
        )
        for number in range(sessions)
    ]
    return desk


def details(visitor: Visitor) -> list[str]:
    return [str(link.props["href"]) for link in visitor.all(ui.link) if link.text == "Details"]


async def test_an_empty_history_says_so() -> None:
    async with visiting() as visitor:
        await visitor.open("/history")
        await visitor.after(1)
        assert visitor.says(NOTHING_YET)


async def test_a_session_that_is_kept_a_moment_after_its_end_appears_by_itself() -> None:
    desk = ended()
    kept, desk.past = desk.past, [dataclasses.replace(desk.past[0], room="elsewhere")]
    async with visiting(desk) as visitor:
        await visitor.open("/history")
        await visitor.after(1)
        assert not visitor.says(kept[0].room)
        desk.past = kept
        await visitor.after(1)
        assert visitor.says(kept[0].room)


async def test_pages_go_back_in_time_and_forth() -> None:
    async with visiting(ended(PER_PAGE + 3)) as visitor:
        await visitor.open("/history")
        await visitor.after(1)
        first = details(visitor)
        assert len(first) == PER_PAGE
        assert first[0] == f"/history/{visitor.desk.past[0].tsi}"
        await visitor.press("Older")
        assert details(visitor) == [f"/history/{number:016x}" for number in range(PER_PAGE, PER_PAGE + 3)]
        await visitor.press("Newer")
        assert details(visitor) == first


async def test_one_room_alone() -> None:
    async with visiting(ended(5)) as visitor:
        await visitor.open("/history")
        await visitor.after(1)
        (room,) = visitor.all(ui.select)
        assert set(room.options) == {"", "Room 1", "Room 0"}
        room.value = "Room 0"
        await visitor.after(1)
        assert len(details(visitor)) == 3
        assert not [button for button in visitor.all(ui.button) if button.text == "Older"]


async def test_the_outcome_says_how_many() -> None:
    session: PastSession = ended().past[0]
    assert outcome_sign(dataclasses.replace(session, verified_count=session.seat_count)).tone is Tone.GOOD
    assert outcome_sign(dataclasses.replace(session, verified_count=1)).word == f"1 of {session.seat_count} verified"
    assert outcome_sign(dataclasses.replace(session, verified_count=0)).tone is Tone.BAD
    assert outcome_sign(dataclasses.replace(session, verified_count=0, seat_count=0)).tone is Tone.BAD
