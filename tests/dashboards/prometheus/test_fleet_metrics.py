import time

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboards.prometheus.fleet_metrics import METRICS, fleet_registry
from tests.dashboards.prometheus.sample_fleet import fleet, health, room, seat, session


def test_every_description_is_a_family_of_the_scrape() -> None:
    text = generate_latest(fleet_registry(fleet)).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {name: family.type for name, family in families.items()} == {
        each.name.removesuffix("_total"): each.type for each in METRICS
    }
    for each in METRICS:
        for sample in families[each.name.removesuffix("_total")].samples:
            assert sample.name == each.name
            assert set(sample.labels) == set(each.labels)


def test_each_scrape_looks_anew() -> None:
    views = [fleet(), fleet(health=health(is_broker_connected=False))]
    registry = fleet_registry(lambda: views.pop(0))
    assert b"slatecast_console_broker_up 1.0" in generate_latest(registry)
    assert b"slatecast_console_broker_up 0.0" in generate_latest(registry)


def test_a_scrape_of_a_thousand_seats_is_quick() -> None:
    seats = [seat(f"pc{number}", eta_seconds=1.0, missing_bytes=1) for number in range(1000)]
    registry = fleet_registry(lambda: fleet(rooms=(room("lab", seats),), sessions=(session(seats),)))
    begun = time.process_time()
    text = generate_latest(registry)
    assert text.count(b"slatecast_seat_progress_ratio{") == 1000
    assert time.process_time() - begun < 1.0, "scraped every 5 s this must stay small beside the console's own work"
