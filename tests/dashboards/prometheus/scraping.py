"""What Prometheus reads in a scrape of the console."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboards.fleet.views import FleetView
from dashboards.prometheus.fleet_metrics import METRICS, fleet_registry

Series = dict[tuple[str, ...], float]

_LABELS = {metric.name: metric.labels for metric in METRICS}


def scraped(view: FleetView) -> Series:
    """Value by name and the values of its labels, in the order of the description; no series comes twice."""
    text = generate_latest(fleet_registry(lambda: view)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    series = {(each.name, *map(each.labels.__getitem__, _LABELS[each.name])): each.value for each in samples}
    assert len(series) == len(samples)
    return series


def of(series: Series, name: str) -> Series:
    """The series of one metric, by the values of their labels."""
    return {labels: value for (each, *rest), value in series.items() if each == name for labels in [tuple(rest)]}
