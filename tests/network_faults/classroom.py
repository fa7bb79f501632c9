"""One cast through a lab, disturbed by a test and then proved disk by disk: what all tests of faults have in common.

Sizes are those of ``make test``, a few seconds each. The environment makes them larger, such as

    FAULTS_IMAGE_MIB=512 FAULTS_CROWD=60 FAULTS_OUTAGE=60 python -m pytest --timeout=0 tests/network_faults

FAULTS_IMAGE_MIB: size of the disk, two thirds of it in use. FAULTS_CROWD: receivers that join in the same second.
FAULTS_OUTAGE: seconds that a broker, a cable or half of the room is away. FAULTS_RATE: of the casts, such as 900M.
"""

import json
import os
import random
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families

from protocol.messages import ReceiverReport
from protocol.wire import ENCODING_SYMBOL_LENGTH, HEADER_LENGTH, TAG_LENGTH
from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import PATIENCE, Place, Room, Running, Watch
from tests.lab import INTERFACE, Host, Lab

IMAGE_BYTES: Final = int(os.environ.get("FAULTS_IMAGE_MIB", "16")) * MIB
"""[bytes] Of the disk: 16 MiB are some 45 blocks."""

CROWD: Final = int(os.environ.get("FAULTS_CROWD", "12"))

OUTAGE: Final = float(os.environ.get("FAULTS_OUTAGE", "2"))
"""[s] Less than the lease of a seat (10 s), unless it is set to more."""

RATE: Final = os.environ.get("FAULTS_RATE", "32M")
"""[bit/s] The first pass of 16 MiB takes 2.8 s: time for faults to come and go."""

LIMIT: Final = PATIENCE * max(1.0, IMAGE_BYTES / (64 * MIB)) + 3 * OUTAGE
"""[s] For a whole cast with its faults; far longer than any takes."""


class Classroom:
    """A lab with one cast, its receivers and their disks, by seat; a seat has the name of its host."""

    def __init__(self, room: Room, lab: Lab, *, size: int = IMAGE_BYTES) -> None:
        self.room = room
        self.lab = lab
        self.size = size
        self.source = room.source(size=size)
        self.targets: dict[str, Path] = {}
        self.receivers: dict[str, Running] = {}
        self._report = room.folder / "report.json"

    def cast(self, *options: object, rate: str = RATE, place: Place | None = None) -> Running:
        """Start the cast on the broadcaster, or where it is told; it writes the report that ``outcome`` reads."""
        argv = (self.source, "--report", self._report, "--rate", rate, *options)
        self._rate = rate
        self.running = self.room.cast(*argv, interface=INTERFACE, host=place or self.lab.broadcaster)
        return self.running

    def seat(self, host: Host, *options: object, place: Place | None = None) -> Running:
        """Start the receiver of one host, with a disk full of old bytes, or with the one that it has written to."""
        if host.name not in self.targets:
            self.targets[host.name] = self.room.target(host.name, self.size)
        target, broker = self.targets[host.name], self.running.door()
        self.receivers[host.name] = self.room.receive(
            target, broker, *options, seat=host.name, interface=INTERFACE, host=place or host
        )
        return self.receivers[host.name]

    def fill(self, *hosts: Host, rate: str = RATE) -> "Classroom":
        """A cast that expects all of these hosts, or all receivers of the lab, and their receivers."""
        seated = hosts or tuple(self.lab.receivers)
        self.cast("--expect", len(seated), rate=rate)
        for host in seated:
            self.seat(host)
        return self

    @property
    def pass_seconds(self) -> float:
        """[s] That the wire is busy with one pass at the rate of the cast, and not less."""
        return on_wire((self.size - 2 * MIB) * 2 // 3) * 8 / float(self._rate.removesuffix("M")) / 1e6

    def watch(self) -> Watch:
        """An observer on the broadcaster's host, of the cast's broker."""
        return self.room.watch(self.running.broker(), host=self.lab.broadcaster)

    def until_share(self, watch: Watch, host: Host, share: float) -> ReceiverReport:
        """Wait until a seat holds this share of the image, and is not done."""
        report = watch.until(
            ReceiverReport,
            lambda report: (
                report.seat == host.name
                and report.blocks_total > 0
                and report.blocks_missing <= (1 - share) * report.blocks_total
            ),
        )
        assert report.blocks_missing, "the disturbance would come too late"
        return report

    def prove(self) -> "Outcome":
        """Wait for the end: every seat is verified, and its disk is the image."""
        assert self.running.finish(LIMIT) == 0, self.running.errors.text
        codes = {seat: receiver.finish(LIMIT) for seat, receiver in self.receivers.items()}
        assert set(codes.values()) == {0}, {
            seat: self.receivers[seat].errors.text for seat, code in codes.items() if code
        }
        content = self.source.read_bytes()
        wrong = [seat for seat, target in self.targets.items() if target.read_bytes() != content]
        assert not wrong, f"verified, and not the image: {wrong}"
        outcome = self.outcome()
        assert all(seat["verified"] for seat in outcome.seats.values()), outcome.seats
        return outcome

    def outcome(self) -> "Outcome":
        """What the cast reports, once it has ended."""
        return Outcome.read(self._report)


class Outcome:
    """The report of a cast."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the file that ``cast --report`` has written."""
        return cls(json.loads(path.read_text()))

    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report
        self.seats: dict[str, dict[str, Any]] = {seat["seat"]: seat for seat in report["seats"]}
        repair, sent = report["repair_datagrams"], report["datagrams_sent"]
        self.overhead: float = repair / (sent - repair)
        """repair datagrams for each datagram of the first pass"""


def on_wire(stored: int) -> int:
    """UDP payload bytes that carry so many bytes of the image, each once."""
    return stored * (HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH) // ENCODING_SYMBOL_LENGTH


def draw(seed: int) -> random.Random:
    """Chances from a seed that a failing test shows."""
    print(f"seed {seed}")
    return random.Random(seed)


def scrape(port: int) -> dict[str, float]:
    """Value by name, and by name and state where there is one."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        families = text_string_to_metric_families(page.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {f"{sample.name} {sample.labels.get('state', '')}".strip(): sample.value for sample in samples}
