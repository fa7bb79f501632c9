"""How fast does a receiver find what its disk holds already?

Question: is the scan before a delta limited by the disk, by hashing, or by us; the goal is 1 GB/s on tmpfs. Metric:
GB/s (10^9 bytes) of one whole scan, best of ``--rounds``, and CPU seconds per GiB of the process; beside it the time of
the sample, after which a foreign disk is left alone. Corpus: chunks of seeded random bytes, each numbered, so no two
are equal; "foreign" is the same disk with one bit of each chunk changed, so that it costs the same to read and hash.

    python -m benches.bench_scan [--mebibytes 2048] [--rounds 3] [--folder /dev/shm]

A loop device needs root and lies over a file in the same folder, so that it shows what the way through the kernel's
block layer costs, not how fast some disk is.
"""

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benches.machine import describe_machine, print_machine
from protocol import PROTOCOL_VERSION
from protocol.digests import raw_digest
from protocol.manifest import CHUNK_SIZE, Manifest, ManifestHeader, StoredChunk, build_manifest
from receiver.blockdevice import DiskDevice
from receiver.chunk_ledger import ChunkLedger
from receiver.scan import SCAN_THREADS, DiskScan

SEED: Final = 20261121
STAMP_LENGTH: Final = 8


class Figure(NamedTuple):
    """What one scan took."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    options = parser.parse_args()
    console = Console()
    print_machine(console, describe_machine())
    table = Table("disk", "content", "threads", title=f"scan of {options.mebibytes} MiB, best of {options.rounds}")
    for column in ("GB/s", "CPU s per GiB", "sample"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="slatecast-bench-") as folder:
        file = Path(folder) / "disk"
        for content in ("matching", "foreign"):
            manifest = _fill(file, options.mebibytes << 20, is_foreign=content == "foreign")
            for name, opened in _disks(file):
                with opened as path, DiskDevice.open(path) as device:
                    for threads in sorted({1, SCAN_THREADS}):
                        table.add_row(name, content, str(threads), *_measure(device, manifest, threads, options.rounds))
    console.print(table)
    if os.geteuid() != 0:
        console.print("no loop device: run as root")


def _fill(file: Path, size: int, *, is_foreign: bool) -> Manifest:
    """Write the disk; gives the manifest that it matches, or misses by one bit in each chunk."""
    noise = random.Random(SEED).randbytes(CHUNK_SIZE)
    chunks = []
    with file.open("wb") as disk:
        for chunk_id in range(size // CHUNK_SIZE):
            raw = bytearray(noise)
            raw[:STAMP_LENGTH] = chunk_id.to_bytes(STAMP_LENGTH)
            digest = raw_digest(raw)
            chunks.append(
                StoredChunk(chunk_id, chunk_id * CHUNK_SIZE, CHUNK_SIZE, CHUNK_SIZE, digest, bytes(len(digest)))
            )
            raw[-1] ^= is_foreign
            disk.write(raw)
    header = ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id="0" * 32,
        name="scanned",
        version=1,
        created="2026-11-21T00:00:00Z",
        source="bench",
        disk_size=size,
        logical_sector_size=512,
        partition_table="none",
        partitions=(),
        chunk_size=CHUNK_SIZE,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=(),
        rows_digest="",
    )
    return build_manifest(header, chunks)


def _disks(file: Path) -> Iterator[tuple[str, AbstractContextManager[str]]]:
    yield "file", _as_file(file)
    if os.geteuid() == 0:
        yield "loop device", _as_loop_device(file)


@contextmanager
def _as_file(file: Path) -> Iterator[str]:
    yield str(file)


@contextmanager
def _as_loop_device(file: Path) -> Iterator[str]:
    command = ["losetup", "--find", "--show", str(file)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def _measure(device: DiskDevice, manifest: Manifest, threads: int, rounds: int) -> tuple[str, str, str]:
    def new_scan() -> DiskScan:
        return DiskScan(device, manifest, range(len(manifest)), ChunkLedger(len(manifest)), threads)

    def scan_all() -> None:
        new_scan().run(lambda sbns: None, lambda done, total: None, lambda: False)

    def sample() -> None:
        new_scan().finds_any(lambda: False)

    whole = min(_timed(scan_all) for _ in range(rounds))
    sampled = min(_timed(sample) for _ in range(rounds))
    size = manifest.header.disk_size
    return (
        f"{size / whole.seconds / 1e9:.2f}",
        f"{whole.cpu_seconds / (size / 2**30):.2f}",
        f"{sampled.seconds * 1e3:.0f} ms",
    )


def _timed(call: Callable[[], None]) -> Figure:
    start, cpu_start = time.perf_counter(), time.process_time()
    call()
    return Figure(time.perf_counter() - start, time.process_time() - cpu_start)


if __name__ == "__main__":
    main()
