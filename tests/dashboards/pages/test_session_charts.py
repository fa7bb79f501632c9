import json
import re

import pytest
from nicegui import ui

from dashboards.fleet.views import Sample
from dashboards.pages.session_charts import CHARTS, SessionCharts
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def samples(first: int, last: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(float(at), 9e8, 940_000_000, 900_000_000, 1e6, 0.04, 0.004, 0.12, at / 100) for at in range(first, last)
    )


def times(codes: list[str]) -> list[list[float]]:
    """Of the points that were sent, chart by chart."""
    sent = [re.fullmatch(r"slatecastAppend\(\d+, (.*)\)", code) for code in codes]
    codes.clear()
    return [[point[0] / 1000 for point in json.loads(match[1])[0]] for match in sent if match]


async def test_only_new_points_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[str] = []
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            charts = SessionCharts()
            monkeypatch.setattr(ui, "run_javascript", codes.append)
            charts.show(())
            assert not visitor.says("Rate")
            charts.show(samples(1, 4))
            assert times(codes) == [[1, 2, 3]] * len(CHARTS)
            charts.show(samples(1, 4))
            assert times(codes) == []
            charts.show(samples(2, 6))
            assert times(codes) == [[4, 5]] * len(CHARTS)
        assert visitor.says("900 Mbit/s on the wire, cap 940 Mbit/s")
        assert visitor.says("median 0.4 %, worst 12 %")
        assert visitor.says("4.0 % of the datagrams")
        assert visitor.says("median 5 %")
