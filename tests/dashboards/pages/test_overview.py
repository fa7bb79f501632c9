import pytest

from dashboards.fleet.views import SeatState, Spread
from dashboards.pages.overview import Glance, Overview
from protocol.operators import SessionStep
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


NONE = Spread()


def glance(key: str, step: SessionStep | None, spread: Spread = NONE) -> Glance:
    return Glance(key, key.upper(), "2 seats", f"/{key}", step, spread, 61.0, ((SeatState.IDLE, 2),))


async def test_cards_are_kept_while_only_their_figures_change() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            overview = Overview("nothing at all")
            overview.show([])
            assert visitor.says("nothing at all")
            overview.show([glance("a", None)])
            assert not visitor.says("nothing at all")
            assert not visitor.says("slowest")
            card = overview._cards[0]
            overview.show([glance("a", SessionStep.RUNNING, Spread(0.1, 0.5, 0.9))])
            assert overview._cards[0] is card
            assert visitor.says("slowest 10 %, median 50 %, fastest 90 %")
            assert visitor.says("done in 1 min 01 s")
            overview.show([glance("b", SessionStep.ENDED)])
            assert overview._cards[0] is not card
            assert not visitor.says("done in")
