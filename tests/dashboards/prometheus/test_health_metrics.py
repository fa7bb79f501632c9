from dashboards.prometheus.health_metrics import METRICS
from tests.dashboards.prometheus.sample_fleet import GIB, fleet, health
from tests.dashboards.prometheus.scraping import scraped


def told(**values: object) -> dict[str, float]:
    series = scraped(fleet(health=health(**values)))
    return {
        name.removeprefix("slatecast_console_"): value
        for (name, *_), value in series.items()
        if name.startswith("slatecast_console_")
    }


def test_a_healthy_console() -> None:
    values = told()
    assert values == {
        "broker_up": 1,
        "broadcaster_up": 1,
        "broadcaster_age_seconds": 0.5,
        "broadcaster_start_time_seconds": 500,
        "broadcaster_info": 1,
        "library_free_bytes": 300 * GIB,
        "library_size_bytes": 1000 * GIB,
        "link_up": 1,
        "link_bytes_per_second": 125_000_000,
        "receivers": 3,
        "applicants": 0,
        "open_sessions": 1,
        "images": 0,
        "unplaced_receivers": 1,
        "problems": 0,
        "seats_left_out": 0,
    }
    assert len(values) == len(METRICS)


def test_a_broadcaster_that_was_never_heard() -> None:
    values = told(
        is_broker_connected=False, is_broadcaster_heard=False, host=None, age_seconds=None, problems=("no broker",)
    )
    assert (values["broker_up"], values["broadcaster_up"], values["problems"]) == (0, 0, 1)
    assert not {"broadcaster_age_seconds", "library_free_bytes", "link_up", "receivers"} & set(values)
