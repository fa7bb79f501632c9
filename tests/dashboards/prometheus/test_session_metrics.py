from dashboards.fleet.views import SeatState, Spread
from dashboards.prometheus.session_metrics import METRICS
from protocol.operators import SessionStep
from tests.dashboards.prometheus.sample_fleet import TSI, fleet, seat, session
from tests.dashboards.prometheus.scraping import of, scraped

LABELS = ("lab", TSI)
RANKS = {"minimum": 0.1, "median": 0.5, "maximum": 0.9}


def test_values_of_a_session() -> None:
    series = scraped(fleet())
    plain = {
        name.removeprefix("slatecast_session_"): value
        for (name, *labels), value in series.items()
        if name.startswith("slatecast_session_") and (*labels,) == LABELS
    }
    assert plain == {
        "eta_seconds": 90,
        "elapsed_seconds": 60,
        "wire_rate_bytes_per_second": 10_000_000,
        "rate_bytes_per_second": 50_000_000,
        "cap_bytes_per_second": 100_000_000,
        "sent_bytes_total": 5_000,
        "catch_up_bytes_total": 70,
        "datagrams_sent_total": 100,
        "repair_datagrams_sent_total": 2,
        "repair_ratio": 0.02,
        "expected_seats": 2,
        "age_seconds": 0.4,
    }
    assert of(series, "slatecast_session_info") == {(*LABELS, "win11", "3", "kim"): 1}
    assert of(series, "slatecast_session_step") == {(*LABELS, "running"): 1}
    assert of(series, "slatecast_session_progress_ratio") == {(*LABELS, rank): RANKS[rank] for rank in RANKS}
    assert of(series, "slatecast_session_loss_ratio") == {(*LABELS, "median"): 0.01, (*LABELS, "maximum"): 0.2}
    states = of(series, "slatecast_session_seats")
    assert len(states) == len(SeatState)
    assert {state: count for (*_, state), count in states.items() if count} == {"receiving": 1, "failed": 1}


def test_values_of_a_room() -> None:
    series = scraped(fleet())
    assert of(series, "slatecast_room_eta_seconds") == {("lab",): 90}
    progress = of(series, "slatecast_room_progress_ratio")
    assert progress == {
        **{("lab", rank): value for rank, value in RANKS.items()},
        **{("hall", rank): 0 for rank in RANKS},
    }
    counts = of(series, "slatecast_room_seats")
    assert len(counts) == 2 * len(SeatState)
    assert (counts["hall", "off"], counts["hall", "empty"], counts["hall", "failed"]) == (1, 1, 0)


def test_every_metric_has_a_value_somewhere() -> None:
    assert {each.name for each in METRICS} <= {name for name, *_ in scraped(fleet())}


def test_before_the_first_sample_there_is_no_share_of_repair_and_no_loss() -> None:
    series = scraped(fleet(sessions=(session([seat("one")], samples=(), eta_seconds=None, spread=Spread()),)))
    assert not of(series, "slatecast_session_repair_ratio")
    assert not of(series, "slatecast_session_loss_ratio")
    assert not of(series, "slatecast_session_eta_seconds")


def test_the_picture_of_an_ended_session_does_not_age() -> None:
    ended = session([seat("one", SeatState.VERIFIED)], step=SessionStep.ENDED, age_seconds=900.0)
    assert not of(scraped(fleet(sessions=(ended,))), "slatecast_session_age_seconds")
