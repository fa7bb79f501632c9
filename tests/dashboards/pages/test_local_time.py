import pytest

from dashboards.pages.local_time import LocalTime
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_the_browser_is_sent_a_number_and_nothing_else_of_others() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            shown = LocalTime(1_790_000_000.25)
            assert shown.props["datetime"] == "2026-09-21T14:13:20+00:00"
            assert shown.props[":textContent"].startswith("new Date(1790000000250).toLocaleTimeString(")
            shown.show(1e99)
            assert shown.props["datetime"].startswith("9999-12-31")
            dated = LocalTime(0, with_date=True)
            assert "dateStyle" in dated.props[":textContent"]
