"""A sender session on the bench: seats that say what the test wants, and a transmitter that sends at once."""

from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject, Transmission
from protocol.messages import ReceiverState, SessionPhase, SessionStatus
from tests.sample_messages import announcement, missing_blocks, receiver_id, repair_request, report

K = 10
URL = "http://192.0.2.1:7001"
RATE = 900_000_000


class Bench:
    """The session, what it hears and what it was told of nonsense; messages of all seats count up together."""

    def __init__(
        self,
        *,
        expect: int = 2,
        wait: float = 30.0,
        manifest_blocks: int = 1,
        disk_blocks: int = 4,
        k: int = K,
        generation: int = 1,
        catch_up_url: str = "",
        is_recorded: bool = False,
        is_held: bool = False,
        now: float = 0.0,
    ) -> None:
        self.disk_blocks = disk_blocks
        self.sequence = 0
        self.nonsense: list[str] = []
        self.session = SenderSession(
            announcement(catch_up_url=catch_up_url),
            manifest_object=TransferObject(manifest_blocks, lambda sbn: 2),
            disk_object=TransferObject(disk_blocks, lambda sbn: k),
            policy=StartPolicy(expect, wait),
            rate=RateControl(RATE, now),
            now=now,
            generation=generation,
            is_recorded=is_recorded,
            is_held=is_held,
            on_nonsense=lambda who, what: self.nonsense.append(who),
        )

    def phase(self) -> SessionPhase:
        """The phase as it is now: of an attribute mypy would believe the last value that was asserted."""
        return self.session.phase

    def outcome(self, number: int, now: float) -> str:
        seat = self.session.roster.get(receiver_id(number))
        assert seat is not None
        return seat.outcome(now)

    # --- what a seat says --------------------------------------------------------------------------------------------

    def report(self, number: int, now: float, **changes: object) -> None:
        """A report; in whatever state is not told the seat is ready."""
        self.sequence += 1
        self.session.receive_message(report(number, self.sequence, **changes), now)

    def receiving(self, number: int, now: float, **changes: object) -> None:
        """A report of a seat that holds the manifest and knows what its disk lacks."""
        known = {"state": ReceiverState.RECEIVING, "has_manifest": True, "has_scanned": True}
        self.report(number, now, **{**known, "blocks_total": self.disk_blocks, **changes})

    def scanning(self, number: int, now: float) -> None:
        """A report of a seat that does not know yet what its disk lacks."""
        self.receiving(number, now, has_scanned=False)

    def misses(self, number: int, now: float, *ranges: tuple[int, int]) -> None:
        """What its disk lacks; everything unless (start, stop) ranges are told."""
        self.sequence += 1
        lacks = list(ranges) or [(0, self.disk_blocks)]
        message = missing_blocks(number, self.sequence, ranges=lacks, block_count=self.disk_blocks)
        self.session.receive_message(message, now)

    def has_all(self, number: int, now: float) -> None:
        """Its disk lacks nothing."""
        self.misses(number, now, (0, 0))

    def ask(self, number: int, now: float, **changes: object) -> None:
        """A repair request."""
        self.sequence += 1
        self.session.receive_message(repair_request(number, self.sequence, **changes), now)

    def verified(self, number: int, now: float) -> None:
        """The final report."""
        self.report(number, now, state=ReceiverState.VERIFIED, has_manifest=True, has_scanned=True)

    # --- what leaves -------------------------------------------------------------------------------------------------

    def send(self, now: float, limit: int = 1000) -> list[Transmission]:
        """Everything that wants to leave now leaves now, but no more than ``limit`` transmissions."""
        sent: list[Transmission] = []
        while len(sent) < limit and (transmission := self.session.next_transmission(now)) is not None:
            self.session.transmitted(transmission, now)
            sent.append(transmission)
        return sent

    def sent_blocks(self, now: float, limit: int = 1000) -> list[int]:
        """The blocks of what is sent now."""
        return [each.sbn for each in self.send(now, limit)]


def at_disk(*, seats: int = 2, now: float = 0.0, **settings: object) -> Bench:
    """All seats hold the manifest and miss everything, and not one symbol of the disk has left."""
    bench = Bench(expect=seats, now=now, **settings)  # type: ignore[arg-type]  # the settings of a Bench
    for number in range(1, seats + 1):
        bench.report(number, now)
    bench.send(now)
    for number in range(1, seats + 1):
        bench.receiving(number, now)
        bench.misses(number, now)
    assert bench.phase() is SessionPhase.DISK
    return bench


def at_manifest(*, seats: int = 2, disk_blocks: int = 20, now: float = 0.0) -> Bench:
    """The manifest has left, and nothing is known of the disks."""
    bench = Bench(expect=seats, disk_blocks=disk_blocks, now=now)
    for number in range(1, seats + 1):
        bench.report(number, now)
    bench.send(now)
    assert bench.phase() is SessionPhase.MANIFEST
    return bench


def status_of(bench: Bench, now: float) -> SessionStatus:
    """The newest status that is due."""
    found: SessionStatus | None = None
    while (message := bench.session.next_message(now)) is not None:
        found = message if isinstance(message, SessionStatus) else found
    assert found is not None
    return found
