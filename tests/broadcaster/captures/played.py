"""A machine with a disk to capture, as a register, an intake or a seat API meets it; and who is there."""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import CaptureRecord
from broadcaster.captures.intake import CaptureIntake
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.capture import CapturedDisk, CaptureStep, FramedChunk, encode_chunk, encode_disk
from protocol.digests import raw_digest
from protocol.disk.codec import pack
from protocol.manifest import CHUNK_SIZE, PartitionInfo

PC = "ab" * 16
OTHER_PC = "cd" * 16
CAPTURE_ID = "0123456789abcdef"


@dataclass
class Present:
    """A receiver that is there."""

    receiver_id: str
    machine: str
    seat: str = "seat"


class Room:
    """Who is there, as attendance tells."""

    def __init__(self, *present: Present) -> None:
        self.present = list(present)

    def get(self, receiver_id: str) -> Present | None:
        return next((each for each in self.present if each.receiver_id == receiver_id), None)

    def at(self, machine: str) -> Present | None:
        return next((each for each in reversed(self.present) if each.machine == machine), None)


@dataclass
class PlayedDisk:
    """Chunks by their id; ``seed`` draws what is in them, every second one compressible, the last one short."""

    count: int = 6
    seed: int = 1
    raw: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        drawn = random.Random(self.seed)
        for chunk_id in range(self.count):
            length = 4096 if chunk_id == self.count - 1 else CHUNK_SIZE
            self.raw[chunk_id] = drawn.randbytes(length) if chunk_id % 2 else drawn.randbytes(1 << 10) * (length >> 10)

    @property
    def digests(self) -> list[bytes]:
        return [raw_digest(raw) for raw in self.raw.values()]

    def framed(self, digests: Iterable[bytes]) -> list[bytes]:
        """One framed chunk for each."""
        by_digest = dict(zip(self.digests, self.raw.values(), strict=True))
        return [encode_chunk(FramedChunk(each, len(by_digest[each]), pack(by_digest[each], 3))) for each in digests]

    def described(self, **changes: Any) -> bytes:
        """Behind the chunks that are used lies one of zeros, and one that is free."""
        known: dict[str, Any] = {
            "source": "pc disk",
            "disk_size": (self.count - 1) * CHUNK_SIZE + 4096,
            "logical_sector_size": 512,
            "partition_table": "gpt",
            "partitions": (
                PartitionInfo(number=1, offset=0, length=4096, type="t", filesystem="ext4", label="l", used_bytes=4096),
            ),
            "zero_ranges": (),
        }
        return encode_disk(CapturedDisk(**{**known, **changes}), list(zip(self.raw, self.digests, strict=True)))


def record(**changes: Any) -> CaptureRecord:
    known: dict[str, Any] = {
        "capture_id": CAPTURE_ID,
        "receiver_id": PC,
        "machine": "pc",
        "seat": "seat",
        "image": "windows",
        "is_backup": False,
        "step": CaptureStep.ORDERED,
        "ordered_by": "anna",
        "began_at": 1000.0,
    }
    return CaptureRecord(**{**known, **changes})


class Taken:
    """An intake with one machine that is there, and everything that it told."""

    def __init__(self, library: Library, keys: KeyStore | None = None, kept: int = 2) -> None:
        self.library = library
        self.room = Room(Present(PC, "pc"))
        self.changes = itertools.count()
        self.images = 0
        self.audit: list[tuple[AuditEvent, Mapping[str, str | int]]] = []
        self.intake = CaptureIntake(
            library,
            None if keys is None else keys.image,
            self.room,
            kept_for=lambda _machine: kept,
            on_change=lambda: next(self.changes),
            on_image=self._has_image,
            write_down=lambda event, fields: self.audit.append((event, fields)),
            utc_now=lambda: "2026-11-21T20:00:00Z",
        )

    def _has_image(self) -> None:
        self.images += 1


async def parts(*bodies: bytes) -> Any:
    """As a body comes."""
    for body in bodies:
        yield body


async def send_all(intake: CaptureIntake, capture_id: str, disk: PlayedDisk, receiver_id: str = PC) -> int:
    """Send what is lacking, one chunk a body; how many there were."""
    lacking = await intake.lacking(receiver_id, capture_id, disk.digests)
    assert lacking is not None
    bodies = disk.framed(digest for digest, is_lacking in zip(disk.digests, lacking, strict=True) if is_lacking)
    for body in bodies:
        assert await intake.chunks(receiver_id, capture_id, body) is not None
    return len(bodies)
