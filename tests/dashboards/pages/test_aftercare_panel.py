from typing import Any

import pytest
from nicegui import ui

from dashboards.pages import aftercare_panel
from dashboards.pages.aftercare_panel import DONE, FAILED, NOT_BEGUN, NOT_SEEN, RUNNING, seat_lines
from dashboards.pages.paths import past_session_path, session_path
from protocol.errors import TransportError
from tests.dashboards.pages.test_history_page import ended
from tests.dashboards.pages.test_session_page import played
from tests.dashboards.pages.visitor import Visitor, settled, visiting
from tests.dashboards.played_aftercare import FAILURE, STEPS
from tests.dashboards.played_fleet import HOSTILE_TEXT

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def seat(name: str, *done: bool, error: str = "", booted_at: float | None = None) -> dict[str, Any]:
    steps = [{"name": f"step-{index}", "is_done": each, "text": ""} for index, each in enumerate(done)]
    return {"seat": name, "machine": f"m-{name}", "steps": steps, "error": error, "booted_at": booted_at}


async def test_seats_in_trouble_come_first() -> None:
    seats = [
        seat("1", True, True, booted_at=5.0),
        seat("2", True, False),
        seat("3", True, False, error="step-1: no room left"),
        seat("4"),
        seat("5", error="its configuration cannot be rendered"),
    ]
    lines = seat_lines({"seats": seats})
    assert [(line.name, line.sign) for line in lines] == [
        ("3", FAILED),
        ("5", FAILED),
        ("2", RUNNING),
        ("4", NOT_BEGUN),
        ("1", DONE),
    ]
    assert [step.sign for step in lines[0].steps] == [DONE, FAILED]
    assert [step.sign for step in lines[2].steps] == [DONE, RUNNING]
    assert [line.summary for line in lines] == [
        "1 of 2 steps done, failed",
        "failed",
        "1 of 2 steps done, under way",
        "not begun",
        "2 steps done",
    ]


def entries(visitor: Visitor) -> list[ui.element]:
    return [each for each in visitor.all(ui.element) if each.tag == "details"]


async def test_a_session_tells_what_was_done_to_each_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, tsi = played(240)
    now = [0.0]
    monkeypatch.setattr(aftercare_panel, "monotonic", lambda: now[0])
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await settled()
        assert visitor.says("After the disks were verified")
        for name, text in STEPS:
            assert visitor.says(name)
            assert visitor.says(text)
        assert visitor.says(f"boot-entry: {FAILURE}")
        assert visitor.says("first boot seen")
        assert visitor.says(NOT_SEEN)
        assert len(entries(visitor)) == 20
        assert len([each for each in entries(visitor) if "open" in each.props]) == 2  # those that failed
        await visitor.after(1)
        assert desk.aftercare_asked == 1
        now[0] += aftercare_panel.ASK_SECONDS
        kept = entries(visitor)
        await visitor.after(1)
        await settled()
        assert desk.aftercare_asked == 2
        assert entries(visitor) == kept


async def test_a_broadcaster_that_does_not_answer_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, tsi = played(240)
    now = [0.0]
    monkeypatch.setattr(aftercare_panel, "monotonic", lambda: now[0])
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await settled()

        async def silent(*_: object) -> dict[str, Any]:
            raise TransportError("nobody answers")

        monkeypatch.setattr(desk, "aftercare", silent)
        now[0] += aftercare_panel.ASK_SECONDS
        await visitor.after(1)
        await settled()
        assert visitor.says("After the disks were verified")
        assert not visitor.says("nobody answers")


async def test_nothing_is_asked_while_nothing_is_verified() -> None:
    desk, tsi = played(20)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await settled()
        assert desk.aftercare_asked == 0
        assert not visitor.says("After the disks were verified")


async def test_what_is_settled_is_asked_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, tsi = played(240)
    now, asked = [0.0], [0]
    monkeypatch.setattr(aftercare_panel, "monotonic", lambda: now[0])

    async def settled_seats(*_: object) -> dict[str, Any]:
        asked[0] += 1
        return {"seats": [seat("1", True, booted_at=None if asked[0] == 1 else 7.0)]}

    monkeypatch.setattr(desk, "aftercare", settled_seats)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await settled()
        assert visitor.says("1 of 1 disk configured")
        for _ in range(4):
            now[0] += aftercare_panel.ASK_SECONDS
            await visitor.after(1)
            await settled()
        assert asked == [2]


async def test_a_past_session_tells_it_too() -> None:
    desk = ended()
    async with visiting(desk) as visitor:
        await visitor.open(past_session_path(desk.past[0].tsi))
        await settled()
        assert visitor.says("After the disks were verified")


async def test_hostile_texts_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, tsi = played(240)
    text = HOSTILE_TEXT[:400]

    async def hostile(*_: object) -> dict[str, Any]:
        steps = [{"name": text, "is_done": False, "text": text}]
        return {"seats": [{"seat": text, "machine": "m", "steps": steps, "error": text, "booted_at": None}]}

    monkeypatch.setattr(desk, "aftercare", hostile)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await settled()
        assert visitor.says("<script>alert(1)</script>")
        assert not visitor.all(ui.html)
