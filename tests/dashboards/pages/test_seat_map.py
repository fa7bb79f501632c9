from typing import Any

import pytest

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.seat_card import SeatCard, SeatTile
from dashboards.pages.seat_map import MOST_CARDS, SeatMap
from tests.dashboards.pages.visitor import Visitor, visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def seats(count: int, state: SeatState = SeatState.IDLE) -> tuple[SeatView, ...]:
    return tuple(
        SeatView(str(number), "m", "r", state, row=number // 10 + 1, column=number % 10 + 1) for number in range(count)
    )


async def drawn(visitor: Visitor, on_drop: Any = None) -> tuple[SeatMap, list[str]]:
    await visitor.open("/")
    picked: list[str] = []
    with visitor.browser:
        return SeatMap(picked.append, on_drop), picked


async def test_marks_stay_while_no_seat_comes_or_goes() -> None:
    async with visiting() as visitor:
        plan, picked = await drawn(visitor)
        plan.show(seats(30))
        marks = list(plan._marks)
        assert plan.grid.style["--columns"] == "10"
        plan.show(seats(30, SeatState.FAILED))
        assert plan._marks == marks
        assert marks[3].element.props["aria-label"] == "3, failed, 0 %"
        plan.show(seats(31))
        assert plan._marks[0] is not marks[0]
        await visitor.fire(plan.grid, "click", "7")
        assert picked == ["7"]


async def test_big_rooms_are_drawn_as_tiles() -> None:
    async with visiting() as visitor:
        plan, _ = await drawn(visitor)
        plan.show(seats(MOST_CARDS))
        assert isinstance(plan._marks[0], SeatCard)
        plan.show(seats(MOST_CARDS + 1))
        assert isinstance(plan._marks[0], SeatTile)


async def test_only_who_may_place_can_drop() -> None:
    dropped: list[tuple[str, str]] = []
    async with visiting() as visitor:
        plan, _ = await drawn(visitor, lambda seat, machine: dropped.append((seat, machine)))
        await visitor.fire(plan.grid, "drop", ["4", "aa:bb"])
        assert dropped == [("4", "aa:bb")]
        plan, _ = await drawn(visitor)
        with pytest.raises(AssertionError, match="nobody listens to drop"):
            await visitor.fire(plan.grid, "drop", ["4", "aa:bb"])
