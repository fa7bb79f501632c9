import pytest

from dashboards.pages.seat_words import Sign, Tone
from dashboards.pages.words import Words, page_title, section_title, tone_class
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_headings_are_headings_and_hold_text_only() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            assert (page_title("<b>\u202e").tag, page_title("<b>\u202e").text) == ("h1", "<b>")
            assert section_title("Seats").tag == "h2"
            assert Words("kbd", "?").tag == "kbd"
    assert tone_class(Sign("error", "failed", Tone.BAD)) == "tone-bad"
