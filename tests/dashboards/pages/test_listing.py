import pytest
from nicegui import ui

from dashboards.pages.listing import ACTIONS, Listing
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_every_cell_knows_its_heading() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        with visitor.browser._client:
            listing = Listing("Images", ("Name", "Size", ACTIONS))
            with listing.row():
                listing.text("<b>lab</b>")
                listing.text("2 GB")
                with listing.cell():
                    ui.button("Remove")
        cells = [each for each in visitor.all(ui.element) if each.tag == "td"]
        assert [cell.props["data-heading"] for cell in cells] == ["Name", "Size", ""]
        assert visitor.says("<b>lab</b>")
        listing.clear()
        assert not [each for each in visitor.all(ui.element) if each.tag == "td"]
