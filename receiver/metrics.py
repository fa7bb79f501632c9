"""Prometheus metrics of one receiver, read from its session when they are scraped; on a registry of their own."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.link.metrics_endpoint import MetricsEndpoint
from protocol.messages import ReceiverState
from receiver.service import Receiver

PREFIX = "slatecast_receiver"


class ReceiverMetrics(MetricsEndpoint):
    """Serves the metrics of ``receiver`` on ``port`` while entered; on no port when it is None."""

    def __init__(self, receiver: Receiver, port: int | None) -> None:
        registry = CollectorRegistry()
        registry.register(_ReceiverCollector(receiver))
        super().__init__(registry, port)


class _ReceiverCollector(Collector):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def collect(self) -> Iterator[Metric]:
        session = self._receiver.session
        if session is None:
            return
        counters = session.counters
        for name, help_text, value in (
            ("received_bytes", "UDP payload bytes of the session, duplicates included.", counters.bytes_received),
            (
                "symbols_expected",
                "Source symbols that the first pass has gone by.",
                session.first_pass.symbols_expected,
            ),
            (
                "symbols_lost",
                "Of these, the ones that did not arrive in the first pass.",
                session.first_pass.symbols_lost,
            ),
            ("blocks_repaired", "Blocks completed by repair.", session.first_pass.blocks_repaired),
            (
                "datagrams_rejected",
                "Datagrams whose seal did not match.",
                counters.datagrams_rejected,
            ),
            (
                "poisoned_blocks",
                "Blocks that came whole and were not as announced.",
                session.poison.mismatched_blocks,
            ),
            (
                "poisoned_symbols",
                "Symbols whose seal matched, found false and dropped.",
                session.poison.false_symbols,
            ),
            ("buffer_drops", "Datagrams that the kernel's receive buffer had no room for.", counters.buffer_drops),
        ):
            yield CounterMetricFamily(f"{PREFIX}_{name}", help_text, value=value)
        for name, help_text, value in (
            ("missing_blocks", "Blocks of the disk that are not stored yet.", session.blocks_missing),
            ("backlog_bytes", "Bytes of blocks held in memory.", session.backlog_bytes),
            ("verified_bytes", "Bytes of the target that read-back has gone over.", counters.bytes_verified),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value=value)
        state = GaugeMetricFamily(f"{PREFIX}_state", "1 for the state that the receiver is in.", labels=["state"])
        for each in ReceiverState:
            state.add_metric([each.value], float(session.state is each))
        yield state
