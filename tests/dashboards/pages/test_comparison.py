import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nicegui import ui

from dashboards.pages.comparison import changed_steps
from tests.dashboards.pages.visitor import visiting


def test_what_touches_is_one_run() -> None:
    assert changed_steps([(0, 10), (10, 10), (50, 1)], 100, 10) == [(0, 2), (5, 6)]
    assert changed_steps([(99, 1)], 100, 10) == [(9, 10)]
    assert changed_steps([], 100) == []
    assert changed_steps([(100, 5), (-3, 2), (5, 0)], 100, 10) == []


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 2000)), max_size=20), st.integers(1, 1000))
def test_runs_are_on_the_bar_and_apart(ranges: list[tuple[int, int]], disk_size: int) -> None:
    runs = changed_steps(ranges, disk_size, 50)
    assert all(0 <= first < last <= 50 for first, last in runs)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(runs))


@pytest.mark.asyncio
@pytest.mark.slow
async def test_two_versions_are_compared() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        await visitor.press("Compare")
        assert visitor.says("4")
        (bar,) = visitor.all(ui.element, classes="change-bar")
        assert bar.props["aria-label"].startswith("4 places of the disk changed, 207.4 MB of 16.8 GB")
        assert bar._style["background-image"].count("transparent") == 10
        (old,) = [each for each in visitor.all(ui.select) if each.props.get("label") == "From version"]
        old.value = 2
        await visitor.press("Compare")
        assert visitor.says("two different versions")
