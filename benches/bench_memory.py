"""How much memory do broadcaster and receiver need for a disk of 200 GiB without any free space?

Question: peak resident memory of both roles while the manifest of such a disk (59 MB, 819,200 rows) travels and the
first blocks after it. Metric: high-water mark, the embedded broker included, of whole processes. Corpus: a synthetic
image in which every chunk holds the same compressible bytes, so that one stored chunk serves all rows; each row has its
own digests. The cast is interrupted once the receiver has written for a while: the length of a cast adds nothing.

    python -m benches.bench_memory [--gibibytes 200] [--seconds 15] [--folder DIR]
"""

import argparse
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benches.machine import describe_machine, print_machine
from benches.slatecast_contender import KEYS, at_home
from benches.usage import watch
from broadcaster.keys import KeyStore
from broadcaster.library.image_signature import sign_digest
from broadcaster.library.library import Library
from protocol import PROTOCOL_VERSION
from protocol.digests import StoredDigest, raw_digest
from protocol.disk.codec import DEFAULT_LEVEL, pack
from protocol.manifest import CHUNK_SIZE, Manifest, ManifestHeader, StoredChunk, build_manifest

LIMITS_MIB: Final = {"broadcaster": 300, "receiver": 350}
DOOR: Final = 18_830
"""Port where the receiver enrols."""

PATIENCE: Final = 120.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gibibytes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    console = Console()
    print_machine(console, describe_machine())
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="slatecast-bench-") as folder:
        manifest = _add_synthetic(Path(folder), options.gibibytes << 30)
        console.print(f"manifest of {manifest.encoded_length:,} bytes, {len(manifest):,} chunks", highlight=False)
        _measure(Path(folder), manifest, options.seconds, console)


def _add_synthetic(folder: Path, disk_size: int) -> Manifest:
    """A library with one signed image of ``disk_size`` bytes; every chunk is stored, in one file."""
    library = Library.open_or_create(folder / "library")
    image_key = KeyStore.open_or_create(folder / KEYS).image
    assert image_key is not None
    raw = b"slatecast bench " * (CHUNK_SIZE // 16)
    stored = pack(raw, DEFAULT_LEVEL)
    digest, stored_digest = raw_digest(raw), StoredDigest.for_disk(disk_size, 512, CHUNK_SIZE)

    def chunks() -> Iterator[StoredChunk]:
        for chunk_id in range(disk_size // CHUNK_SIZE):
            offset = chunk_id * CHUNK_SIZE
            place = stored_digest.of(offset, CHUNK_SIZE, stored)
            yield StoredChunk(chunk_id, offset, CHUNK_SIZE, len(stored), digest, place)

    header = ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id="0" * 32,
        name="synthetic",
        version=1,
        created="2026-11-21T00:00:00Z",
        source="bench",
        disk_size=disk_size,
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
    manifest = build_manifest(header, chunks())
    with library.writing(), library.store.batch() as batch:
        batch.write(digest, stored)
        batch.commit()
        library.publish(manifest, sign_digest(manifest.digest, image_key))
        batch.keep()
    return manifest


def _measure(folder: Path, manifest: Manifest, seconds: float, console: Console) -> None:
    target = folder / "target.disk"
    with target.open("wb") as disk:
        disk.truncate(manifest.header.disk_size)
    program = at_home(folder)
    cast = [*program, "--library", str(folder / "library"), "cast", "synthetic", "--interface", "lo"]
    cast += ["--port", str(DOOR), "--rate", "1G"]
    receive = [*program, "receive", "--target", str(target), "--server", f"127.0.0.1:{DOOR}", "--once"]
    receive += ["--interface", "lo"]
    commands = {"receiver": receive, "broadcaster": cast}
    quiet = subprocess.DEVNULL
    processes = {
        name: subprocess.Popen(command, stdout=quiet, stderr=quiet, text=True) for name, command in commands.items()
    }
    stopper = threading.Thread(target=_interrupt_later, args=(processes, target, seconds), daemon=True)
    stopper.start()
    usages = watch(processes, timeout=PATIENCE)
    table = Table("role", "peak memory", "bound", "CPU")
    for name, usage in usages.items():
        table.add_row(
            name, f"{usage.peak_bytes / 2**20:.0f} MiB", f"{LIMITS_MIB[name]} MiB", f"{usage.cpu_seconds:.1f} s"
        )
    console.print(table)
    console.print(f"{target.stat().st_blocks * 512:,} bytes were written to the target meanwhile", highlight=False)


def _interrupt_later(processes: dict[str, subprocess.Popen[str]], target: Path, seconds: float) -> None:
    """Interrupt both, receiver first, when it has written for ``seconds``."""
    while target.stat().st_blocks * 512 < 64 << 20:
        time.sleep(0.1)
    time.sleep(seconds)
    for process in processes.values():
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)


if __name__ == "__main__":
    main()
