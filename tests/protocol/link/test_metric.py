import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from protocol.link.metric import MAX_LABEL_LENGTH, MetricDescription, MetricFamily

BYTES = MetricDescription("slatecast_test_sent_bytes_total", "bytes", "Bytes sent", "Grows.", ("seat",))
SEATS = MetricDescription("slatecast_test_seats", "seats", "Seats", "More is more.")


def exposition(family: MetricFamily) -> str:
    class Collector:
        def collect(self) -> list[Metric]:
            return [family.exposed]

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry).decode()


def test_type_follows_from_the_name() -> None:
    assert (BYTES.type, SEATS.type) == ("counter", "gauge")
    assert BYTES.family().exposed.type == "counter"
    assert SEATS.family().exposed.type == "gauge"


def test_a_value_is_exposed_under_the_name_that_was_described() -> None:
    family = BYTES.family()
    family.add(7, ["one"])
    text = exposition(family)
    assert 'slatecast_test_sent_bytes_total{seat="one"} 7.0\n' in text
    assert "# HELP slatecast_test_sent_bytes_total Bytes sent.\n" in text


def test_without_labels() -> None:
    family = SEATS.family()
    family.add(3)
    assert "slatecast_test_seats 3.0\n" in exposition(family)


@pytest.mark.parametrize("hostile", ['a"} 1\nevil_metric 2', "back\\slash", "<b>\x00\u202e", "\ud800"])
def test_a_hostile_label_stays_one_label(hostile: str) -> None:
    family = BYTES.family()
    family.add(1, [hostile])
    (parsed,) = text_string_to_metric_families(exposition(family))
    (sample,) = parsed.samples
    assert sample.name == BYTES.name
    assert sample.labels["seat"] == hostile.encode(errors="replace").decode()


def test_a_long_label_is_cut_and_what_is_then_alike_is_told_once() -> None:
    family = BYTES.family()
    family.add(1, ["x" * 1_000_000])
    family.add(2, ["x" * MAX_LABEL_LENGTH])
    assert [(sample.labels["seat"], sample.value) for sample in family.exposed.samples] == [("x" * MAX_LABEL_LENGTH, 1)]


def test_a_wrong_number_of_labels_is_a_fault() -> None:
    with pytest.raises(ValueError, match="0 labels instead of 1"):
        BYTES.family().add(1)
