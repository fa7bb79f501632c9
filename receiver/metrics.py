"""Prometheus metrics of one receiver, read from its session when they are scraped; on a registry of their own."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from protocol.link.metric import MetricDescription
from protocol.link.metrics_endpoint import MetricsEndpoint
from protocol.messages import ReceiverState
from receiver.service import Receiver
from receiver.session import ReceiverSession

PREFIX: Final = "slatecast_receiver"


def _described(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"{PREFIX}_{name}", unit, meaning, advice, labels)


RECEIVED_BYTES = _described(
    "received_bytes_total",
    "bytes",
    "UDP payload bytes of the session that came by multicast, duplicates included",
    "Standing still while the broadcaster sends: the multicast does not arrive; look at the switch.",
)
SYMBOLS_EXPECTED = _described(
    "symbols_expected_total",
    "symbols",
    "Source symbols that the first pass has gone by",
    "The base of the loss.",
)
SYMBOLS_LOST = _described(
    "symbols_lost_total",
    "symbols",
    "Of these, the ones that did not arrive in the first pass",
    "Its share of the expected ones is the loss: under 1 % is healthy, over 5 % is a cable, a port or a slow disk.",
)
BLOCKS_REPAIRED = _described(
    "blocks_repaired_total",
    "blocks",
    "Blocks completed by repair",
    "Rises with the loss; at one seat alone it points to that seat's cable or port.",
)
DATAGRAMS_REJECTED = _described(
    "datagrams_rejected_total",
    "datagrams",
    "Datagrams whose seal did not match",
    "A few are damage on the way. Many mean that somebody forges datagrams; nothing of them reaches the disk.",
)
POISONED_BLOCKS = _described(
    "poisoned_blocks_total",
    "blocks",
    "Blocks that came whole and were not as announced",
    "Should stay 0: otherwise a machine in the room forges datagrams, or its memory is broken.",
)
POISONED_SYMBOLS = _described(
    "poisoned_symbols_total",
    "symbols",
    "Symbols whose seal matched, found false and dropped",
    "Should stay 0: otherwise a machine that was admitted to the session forges datagrams.",
)
BUFFER_DROPS = _described(
    "buffer_drops_total",
    "datagrams",
    "Datagrams that the kernel's receive buffer had no room for",
    "The PC does not keep up: raise net.core.rmem_max, or lower the rate.",
)
MISSING_BLOCKS = _described(
    "missing_blocks",
    "blocks",
    "Blocks of the disk that are not stored yet",
    "Falls to 0; when it stands still the seat is stuck.",
)
BACKLOG_BYTES = _described(
    "backlog_bytes",
    "bytes",
    "Bytes of blocks held in memory",
    "Near 256 MiB the disk is slower than the network, and blocks will be dropped and sent again.",
)
VERIFIED_BYTES = _described(
    "verified_bytes",
    "bytes",
    "Bytes of the target that read-back has gone over",
    "Rises at the speed of the disk once everything is written.",
)
STATE = _described("state", "0 or 1", "1 for the state that the receiver is in", "One of them is 1.", "state")

METRICS: Final = (
    *(RECEIVED_BYTES, SYMBOLS_EXPECTED, SYMBOLS_LOST, BLOCKS_REPAIRED, DATAGRAMS_REJECTED, POISONED_BLOCKS),
    *(POISONED_SYMBOLS, BUFFER_DROPS, MISSING_BLOCKS, BACKLOG_BYTES, VERIFIED_BYTES, STATE),
)
"""All metrics of a receiver, in the order in which they are exported."""


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
        families = {each: each.family() for each in METRICS}
        for description, value in _values(session).items():
            families[description].add(value)
        for state in ReceiverState:
            families[STATE].add(float(session.state is state), [state.value])
        yield from (family.exposed for family in families.values())


def _values(session: ReceiverSession) -> dict[MetricDescription, float]:
    counters, first_pass = session.counters, session.first_pass
    return {
        RECEIVED_BYTES: counters.bytes_received,
        SYMBOLS_EXPECTED: first_pass.symbols_expected,
        SYMBOLS_LOST: first_pass.symbols_lost,
        BLOCKS_REPAIRED: first_pass.blocks_repaired,
        DATAGRAMS_REJECTED: counters.datagrams_rejected,
        POISONED_BLOCKS: session.poison.mismatched_blocks,
        POISONED_SYMBOLS: session.poison.false_symbols,
        BUFFER_DROPS: counters.buffer_drops,
        MISSING_BLOCKS: session.blocks_missing,
        BACKLOG_BYTES: session.backlog_bytes,
        VERIFIED_BYTES: counters.bytes_verified,
    }
