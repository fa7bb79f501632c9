import pytest

from dashboards.fleet.views import SeatState, SeatView, Spread
from dashboards.pages.figures import Figure, SignChip, SpreadBar, StateCounts, counts_of
from dashboards.pages.seat_words import SEAT_SIGNS
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def seat(state: SeatState) -> SeatView:
    return SeatView("1", "m", "r", state)


async def test_figures_say_in_words_what_they_draw() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            figure = Figure("Median", "1 %")
            figure.show("2 %")
            chip = SignChip(SEAT_SIGNS[SeatState.IDLE])
            chip.show(SEAT_SIGNS[SeatState.FAILED], "14 failed")
            bar = SpreadBar()
            bar.show(Spread(0.1, 0.55, 1.0))
            counts = StateCounts()
            counts.show(((SeatState.VERIFIED, 29), (SeatState.FAILED, 1)))
        assert visitor.says("2 %")
        assert "tone-bad" in chip.element.classes
        label = bar.element.props["aria-label"]
        assert label == "Progress: slowest seat 10 %, median 55 %, fastest seat 100 %"
        assert bar.element.style["--middle"] == "55.00%"
        assert visitor.says("29 verified")
        assert visitor.says("14 failed")


async def test_states_are_counted_in_their_order() -> None:
    states = [SeatState.FAILED, SeatState.IDLE, SeatState.FAILED]
    assert counts_of(map(seat, states)) == ((SeatState.IDLE, 1), (SeatState.FAILED, 2))
