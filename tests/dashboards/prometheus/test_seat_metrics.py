from typing import Any

import pytest

from dashboards.fleet.views import SeatState
from dashboards.prometheus.seat_metrics import METRICS, PREFIX
from protocol.operators import SessionStep
from tests.dashboards.prometheus.sample_fleet import TSI, fleet, room, seat, session
from tests.dashboards.prometheus.scraping import of, scraped

ONE = ("lab", "one", TSI, "mac-one")


def test_values_of_a_seat_in_a_session() -> None:
    values: dict[str, Any] = {
        "progress": 0.5,
        "rate_bits_per_second": 8000.0,
        "eta_seconds": 30.0,
        "missing_bytes": 77,
        "is_slow": True,
        "loss_ratio": 0.25,
        "repaired_blocks": 3,
        "bytes_received": 900,
        "catch_up_bytes": 40,
        "bytes_written": 800,
        "link_bits_per_second": 1_000_000_000,
        "disk_busy_ratio": 0.75,
        "buffer_fill_ratio": 0.125,
        "silent_seconds": 1.5,
    }
    series = scraped(fleet(rooms=(), tray=(), sessions=(session([seat("one", **values)]),)))
    told = {name.removeprefix(f"{PREFIX}_"): value for (name, *labels), value in series.items() if (*labels,) == ONE}
    assert told == {
        "progress_ratio": 0.5,
        "receive_rate_bytes_per_second": 1000,
        "eta_seconds": 30,
        "missing_bytes": 77,
        "slow": 1,
        "loss_ratio": 0.25,
        "repaired_blocks_total": 3,
        "received_bytes_total": 900,
        "catch_up_bytes_total": 40,
        "written_bytes_total": 800,
        "link_bytes_per_second": 125_000_000,
        "disk_busy_ratio": 0.75,
        "buffer_fill_ratio": 0.125,
        "silent_seconds": 1.5,
    }
    assert series[f"{PREFIX}_state", *ONE, "receiving"] == 1
    assert len(told) + 1 == len(METRICS)


def test_every_seat_once_with_the_state_that_it_is_in() -> None:
    assert of(scraped(fleet()), f"{PREFIX}_state") == {
        (*ONE, "receiving"): 1,
        ("lab", "two", TSI, "mac-two", "failed"): 1,
        ("hall", "front", "", "mac-front", "off"): 1,
        ("hall", "rear", "", "", "empty"): 1,
        ("", "stray", "", "mac-stray", "idle"): 1,
    }


def test_a_seat_outside_a_session_has_its_state_only() -> None:
    series = scraped(fleet())
    assert [name for name, *labels in series if "front" in labels or "stray" in labels] == [f"{PREFIX}_state"] * 2


def test_what_nobody_can_tell_is_not_there() -> None:
    series = scraped(fleet(sessions=(session([seat("one")]),)))
    assert not of(series, f"{PREFIX}_eta_seconds")
    assert not of(series, f"{PREFIX}_missing_bytes")


def test_a_session_that_ended_is_told_until_the_room_has_another() -> None:
    ended = session([seat("two", SeatState.FAILED)], tsi="0" * 16, step=SessionStep.ENDED)
    alone = of(scraped(fleet(sessions=(ended,))), f"{PREFIX}_state")
    followed = of(scraped(fleet(sessions=(session([seat("two")]), ended))), f"{PREFIX}_state")
    assert alone["lab", "two", "0" * 16, "mac-two", "failed"] == 1
    assert ("lab", "two", TSI, "mac-two", "receiving") in followed
    assert ("lab", "two", "0" * 16, "mac-two", "failed") not in followed


def test_the_number_of_seats_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.prometheus.seat_metrics.MAX_SEATS_TOLD", 3)
    monkeypatch.setattr("dashboards.prometheus.health_metrics.MAX_SEATS_TOLD", 3)
    crowd = tuple(seat(f"pc{number}", SeatState.IDLE) for number in range(10))
    series = scraped(fleet(rooms=(room("lab", crowd),), tray=(), sessions=(session([seat("one")]),)))
    assert len(of(series, f"{PREFIX}_state")) == 3
    assert (*ONE, "receiving") in of(series, f"{PREFIX}_state"), "those in a session come first"
    assert series[("slatecast_console_seats_left_out",)] == 11 - 3


def test_hostile_texts_make_no_series_of_their_own() -> None:
    evil = 'x"} 1\nslatecast_console_broker_up 0\n#'
    series = scraped(fleet(sessions=(session([seat(evil, machine="m" * 10_000)], room=evil),)))
    assert series[("slatecast_console_broker_up",)] == 1
    assert of(series, f"{PREFIX}_state")[evil, evil, TSI, "m" * 64, "receiving"] == 1


def test_seats_alike_after_the_cut_do_not_spoil_the_scrape() -> None:
    twins = [seat("x" * 64 + end, machine="m") for end in "ab"]
    assert len(of(scraped(fleet(rooms=(), sessions=(session(twins),))), f"{PREFIX}_progress_ratio")) == 1
