"""The console's metrics as a collector: a scrape reads one view of the fleet. Needs no I/O of its own."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dashboards.fleet.views import FleetView
from dashboards.prometheus import health_metrics, seat_metrics, session_metrics

METRICS: Final = (*health_metrics.METRICS, *session_metrics.METRICS, *seat_metrics.METRICS)
"""All metrics of a console, in the order in which they are exported."""


class FleetCollector(Collector):
    """Tells a registry what ``fleet`` returns at the moment of the scrape."""

    def __init__(self, fleet: Callable[[], FleetView]) -> None:
        self._fleet = fleet

    def describe(self) -> Iterator[Metric]:
        """The empty families: a registry need not ask for a view to know their names."""
        yield from (each.family().exposed for each in METRICS)

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        view = self._fleet()
        families = {each: each.family() for each in METRICS}
        for description, value, labels in chain(
            health_metrics.told_of_health(view),
            session_metrics.told_of_sessions(view),
            seat_metrics.told_of_seats(view),
        ):
            families[description].add(value, labels)
        yield from (family.exposed for family in families.values())


def fleet_registry(fleet: Callable[[], FleetView]) -> CollectorRegistry:
    """A registry of its own with the console's metrics, for the library's WSGI or ASGI application or its server."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(fleet))
    return registry
