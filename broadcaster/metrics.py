"""Prometheus metrics of one cast, read from its session when they are scraped; on a registry of their own."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broadcaster.roster import INCOMPLETE, LOST, STALLED
from broadcaster.service import Broadcast
from protocol.link.metrics_endpoint import MetricsEndpoint
from protocol.messages import ReceiverState
from protocol.wire import TOI_DISK

OUTCOMES = (*(state.value for state in ReceiverState), LOST, STALLED, INCOMPLETE)
PREFIX = "slatecast_broadcaster"


class BroadcasterMetrics(MetricsEndpoint):
    """Serves the metrics of ``broadcast`` on ``port`` while entered; on no port when it is None."""

    def __init__(self, broadcast: Broadcast, port: int | None) -> None:
        registry = CollectorRegistry()
        registry.register(_BroadcastCollector(broadcast))
        super().__init__(registry, port)


class _BroadcastCollector(Collector):
    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    def collect(self) -> Iterator[Metric]:
        session = self._broadcast.session
        yield CounterMetricFamily(
            f"{PREFIX}_sent_bytes", "UDP payload bytes that have left.", value=self._broadcast.bytes_sent
        )
        yield CounterMetricFamily(f"{PREFIX}_datagrams_sent", "Datagrams that have left.", value=session.datagrams_sent)
        yield CounterMetricFamily(
            f"{PREFIX}_repair_datagrams_sent", "Of these, the ones sent for repair.", value=session.repair_datagrams
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_rate_bits_per_second", "Rate now allowed.", value=session.rate.rate_bits_per_second
        )
        plan = session.plan(TOI_DISK)
        for name, help_text, value in (
            ("planned_blocks", "Blocks of the disk that the first pass is to send.", plan.planned_count),
            ("position_blocks", "Blocks of the disk sent in the first pass.", plan.departed_count),
            ("damaged_blocks", "Blocks of the disk that cannot be read from the library.", len(session.damaged)),
            ("catch_up_seats", "Seats on the catch-up lane.", len(session.roster.catch_up_ids())),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value=value)
        for name, help_text, value in (
            ("catch_up_bytes", "Bytes served by the catch-up lane.", self._broadcast.catch_up_bytes),
            ("messages_rejected", "Messages of receivers not admitted.", self._broadcast.budget.rejected_count),
            ("quarantines", "Times that a receiver was quarantined.", self._broadcast.budget.quarantined_count),
        ):
            yield CounterMetricFamily(f"{PREFIX}_{name}", help_text, value=value)
        yield self._seats()

    def _seats(self) -> Metric:
        counts = dict.fromkeys(OUTCOMES, 0)
        for seat in self._broadcast.session.roster.seats():
            counts[seat.outcome(self._broadcast.now())] += 1
        seats = GaugeMetricFamily(f"{PREFIX}_seats", "Seats of the session by what they do.", labels=["state"])
        for outcome, count in counts.items():
            seats.add_metric([outcome], count)
        return seats
