import pytest
from nicegui import ui

from dashboards.pages.happenings import MOST_SHOWN, HappeningList
from protocol.operators import Happening, Severity
from tests.dashboards.pages.visitor import Visitor, visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def happenings(first: int, last: int) -> tuple[Happening, ...]:
    return tuple(
        Happening(at=float(number), severity=Severity.ERROR, text=f"<b>{number}</b>")
        for number in range(first, last + 1)
    )


def shown(visitor: Visitor) -> list[str]:
    return [text for text in visitor.texts() if text.startswith("<b>")]


async def test_the_newest_is_at_the_top_and_nothing_is_drawn_twice() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            listed = HappeningList()
            listed.show(())
            assert visitor.says("Nothing yet.")
            listed.show(happenings(1, 2))
            entries = list(listed._list.default_slot.children)
            listed.show(happenings(1, 2))
            listed.show(happenings(2, 4))
        children = listed._list.default_slot.children
        assert len(children) == 4
        assert children[2:] == entries
        assert not visitor.says("Nothing yet.")
        icons = visitor.all(ui.icon)
        assert [icon.props["aria-label"] for icon in icons if icon.props.get("aria-label")] == ["error"] * 4


async def test_it_starts_anew_when_it_lost_the_thread_and_does_not_grow_for_ever() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            listed = HappeningList()
            listed.show(happenings(1, 2))
            listed.show(happenings(50, 52))
            assert len(shown(visitor)) == 3
            listed.show(happenings(50, 50 + 2 * MOST_SHOWN))
            assert len(shown(visitor)) == MOST_SHOWN
