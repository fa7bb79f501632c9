import pytest

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.seat_card import SeatCard, SeatTile
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

SEAT = SeatView(
    '<i>14</i>" onclick="alert(1)', "m", "r", SeatState.RECEIVING, "disk 21 MB/s", 0.429, 9.3e8, row=2, column=3
)


async def test_a_card_says_all_of_it() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            card = SeatCard(SEAT)
        assert card.element.tag == "button"
        assert card.element.props["data-seat"] == SEAT.name
        assert card.element.props["aria-label"] == f"{SEAT.name}, receiving: disk 21 MB/s, 42 %"
        assert card.element.style["grid-row"] == "2"
        assert card.element.style["--progress"] == "42%"
        for words in (SEAT.name, "receiving", "42\N{NO-BREAK SPACE}% · 930\N{NO-BREAK SPACE}Mbit/s", "disk 21 MB/s"):
            assert words in visitor.texts()
        card.show(SeatView(SEAT.name, "", "", SeatState.EMPTY, progress=0.3))
        assert card.element.props["aria-label"] == f"{SEAT.name}, no machine"
        assert card.element.style["--progress"] == "0%"
        assert "930" not in "".join(visitor.texts())


async def test_a_tile_is_sent_only_when_it_looks_different() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            tile = SeatTile(SEAT)
        outbox = visitor.browser._client.outbox
        outbox.updates.clear()
        tile.show(SeatView(SEAT.name, "m", "r", SEAT.state, SEAT.reason, 0.4299, row=2, column=3))
        assert not outbox.updates
        tile.show(SeatView(SEAT.name, "m", "r", SEAT.state, SEAT.reason, 0.43, row=2, column=3))
        assert list(outbox.updates) == [tile.element.id]
        assert (tile.element.props["data-icon"], tile.element.props["data-word"]) == ("downloading", "receiving")
