"""Prometheus metrics of a broadcaster's sessions, read from them when they are scraped; on a registry of their own."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from broadcaster.roster import ABORTED, INCOMPLETE, LOST, STALLED, Seat
from broadcaster.service import Broadcast
from protocol.link.metric import MetricDescription
from protocol.link.metrics_endpoint import EVERYWHERE, MetricsEndpoint
from protocol.messages import ReceiverState
from protocol.wire import TOI_DISK

OUTCOMES = (*(state.value for state in ReceiverState), LOST, STALLED, INCOMPLETE, ABORTED)
PREFIX: Final = "slatecast_broadcaster"


def _described(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"{PREFIX}_{name}", unit, meaning, advice, ("session", *labels))


SENT_BYTES = _described(
    "sent_bytes_total",
    "bytes",
    "UDP payload bytes that have left to the group",
    "Its rate is what the network carries; far below the allowed rate, the library or the CPU is slow.",
)
DATAGRAMS_SENT = _described(
    "datagrams_sent_total", "datagrams", "Datagrams that have left", "The base of every share of datagrams."
)
REPAIR_DATAGRAMS_SENT = _described(
    "repair_datagrams_sent_total",
    "datagrams",
    "Of these, the ones sent for repair",
    "A few percent is usual. Beyond a quarter the network loses too much: look for the seats that lose most.",
)
RATE = _described(
    "rate_bytes_per_second",
    "bytes per second",
    "Rate that the rate control allows now",
    "It falls when many seats lose or cannot keep up; the console says why.",
)
PLANNED_BLOCKS = _described(
    "planned_blocks",
    "blocks",
    "Blocks of the disk that the first pass is to send",
    "Blocks that at least one seat lacks: few when yesterday's image is on the disks already.",
)
POSITION_BLOCKS = _described(
    "position_blocks",
    "blocks",
    "Of these, the ones sent in the first pass",
    "Equal to the planned ones when the first pass is over and only repair is left.",
)
DAMAGED_BLOCKS = _described(
    "damaged_blocks",
    "blocks",
    "Blocks of the disk that cannot be read from the library",
    "Anything but 0 means that no seat can finish: verify the image and the library's disk.",
)
CATCH_UP_SEATS = _described(
    "catch_up_seats",
    "seats",
    "Seats on the catch-up lane",
    "Each fetches by itself what it misses: slower than the group, but the room does not wait for it.",
)
CATCH_UP_BYTES = _described(
    "catch_up_bytes_total",
    "bytes",
    "Bytes served by the catch-up lane",
    "Many seats there at once cost more than the group would: look for what keeps the multicast from them.",
)
MESSAGES_REJECTED = _described(
    "messages_rejected_total",
    "messages",
    "Messages of receivers that were dropped unread, because they sent too many or too much nonsense",
    "Should stay 0. When it rises somebody on the network misbehaves; the audit log names the receiver.",
)
QUARANTINES = _described(
    "quarantines_total",
    "quarantines",
    "Times that a receiver was quarantined",
    "Should stay 0. The audit log says who it was and why.",
)
SEATS = _described(
    "seats",
    "seats",
    "Seats by what they do",
    "`lost` fell silent, `stalled` reports but gets nowhere, `failed` has a broken disk, `damaged` read back wrong.",
    "state",
)

METRICS: Final = (
    *(SENT_BYTES, DATAGRAMS_SENT, REPAIR_DATAGRAMS_SENT, RATE, PLANNED_BLOCKS, POSITION_BLOCKS, DAMAGED_BLOCKS),
    *(CATCH_UP_SEATS, CATCH_UP_BYTES, MESSAGES_REJECTED, QUARANTINES, SEATS),
)
"""All metrics of a broadcaster, in the order in which they are exported."""


class BroadcasterMetrics(MetricsEndpoint):
    """Serves the metrics of the sessions that ``broadcasts`` names at a scrape on ``port`` of ``host`` while entered.

    On no port when it is None.
    """

    def __init__(self, broadcasts: Callable[[], Iterable[Broadcast]], port: int | None, host: str = EVERYWHERE) -> None:
        registry = CollectorRegistry()
        registry.register(_BroadcastCollector(broadcasts))
        super().__init__(registry, port, host)


class _BroadcastCollector(Collector):
    def __init__(self, broadcasts: Callable[[], Iterable[Broadcast]]) -> None:
        self._broadcasts = broadcasts

    def collect(self) -> Iterator[Metric]:
        families = {each: each.family() for each in METRICS}
        for broadcast in tuple(self._broadcasts()):
            tsi = broadcast.session.announcement.tsi
            seats = tuple(broadcast.session.roster.seats())  # at once: a scrape has a thread of its own, and seats come
            for description, value in _values(broadcast, seats).items():
                families[description].add(value, [tsi])
            for outcome, count in _seat_counts(broadcast, seats).items():
                families[SEATS].add(count, [tsi, outcome])
        yield from (family.exposed for family in families.values())


def _values(broadcast: Broadcast, seats: tuple[Seat, ...]) -> dict[MetricDescription, float]:
    session, plan = broadcast.session, broadcast.session.plan(TOI_DISK)
    return {
        SENT_BYTES: broadcast.bytes_sent,
        DATAGRAMS_SENT: session.datagrams_sent,
        REPAIR_DATAGRAMS_SENT: session.repair_datagrams,
        RATE: session.rate.rate_bits_per_second / 8,
        PLANNED_BLOCKS: plan.planned_count,
        POSITION_BLOCKS: plan.departed_count,
        DAMAGED_BLOCKS: len(session.damaged),
        CATCH_UP_SEATS: sum(seat.is_on_catch_up and not seat.is_settled for seat in seats),
        CATCH_UP_BYTES: broadcast.catch_up_bytes,
        MESSAGES_REJECTED: broadcast.budget.rejected_count,
        QUARANTINES: broadcast.budget.quarantined_count,
    }


def _seat_counts(broadcast: Broadcast, seats: tuple[Seat, ...]) -> dict[str, int]:
    counts = dict.fromkeys(OUTCOMES, 0)
    for seat in seats:
        outcome = seat.outcome(broadcast.now())
        counts[outcome] += 1
    return counts
