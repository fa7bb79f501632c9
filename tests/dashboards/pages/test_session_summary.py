import pytest

from dashboards.pages.session_summary import headline, summary_of, summary_of_report
from tests.dashboards.played_desk import VIEWER, PlayedDesk

pytestmark = pytest.mark.asyncio


async def ended() -> tuple[PlayedDesk, str]:
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    desk.played.start(tsi)
    desk.advance(200)
    return desk, tsi


async def test_the_picture_and_the_report_say_the_same() -> None:
    desk, tsi = await ended()
    session = desk.session(tsi)
    assert session is not None
    from_picture = summary_of(session)
    from_report = summary_of_report(await desk.report(VIEWER, tsi))
    assert headline(from_picture) == headline(from_report) == "8 seats verified, 12 not"
    assert [seat.in_words() for seat in from_picture.seats] == [seat.in_words() for seat in from_report.seats]
    words = next(seat for seat in from_report.seats if seat.name == "07").in_words()
    assert words == "Seat 07 failed: /dev/sda: write failed: disk error at sector 123456"


async def test_a_report_of_another_version_is_shown_as_far_as_it_goes() -> None:
    summary = summary_of_report({"seats": [{"seat": "1", "outcome": "melted"}, {}], "seconds": 3})
    assert headline(summary) == "0 seats verified, 2 not"
    assert [seat.in_words() for seat in summary.seats] == ["Seat 1 melted", "Seat  did not finish"]


async def test_all_is_well() -> None:
    summary = summary_of_report({"seats": [{"seat": "1", "outcome": "verified", "verified": True}]})
    assert headline(summary) == "1 seat verified"
