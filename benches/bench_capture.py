"""What does a capture cost beside compressing, and how little does the next one send?

Question: is the capture of a disk limited by zstd, or by us; goal 1.3 times ``zstd -3`` with as many threads as cores,
of the used bytes. Then: a second capture after small changes (goal: 1.2 times the changed chunks), and the backup of a
seat that holds last week's image and 100 MB of files that do not compress (goal: 130 MB more in the library). Metric:
seconds from the order to the image, both ends on this machine, which shares its cores between them; CPU seconds of each
end. Corpus: a 10 GiB disk (GPT, ext4) on a loop device, filled with files of this machine's /usr.

    python -m benches.bench_capture [--mebibytes 1536] [--rounds 3] [--apart]

Both ends share the cores of this machine; with ``--apart`` each has one, as if there were two machines.
"""

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from benches.corpus import workspace
from benches.machine import describe_machine, print_machine
from protocol.capture import CaptureState, CaptureStep
from protocol.digests import raw_digest
from protocol.disk.codec import DEFAULT_LEVEL, pack
from protocol.disk.source import open_source
from protocol.link.tls import TlsIdentity, pinned_context
from protocol.seat_api import CaptureOrder
from receiver.capture.reading import blanked, survey
from receiver.capture.run import CaptureNews, run_capture
from receiver.identity import ReceiverIdentity
from receiver.seat_api_link import SeatApiLink

DISK_SIZE: Final = 10 << 30
PARTITION_OFFSET: Final = 1 << 20
STUDENT_BYTES: Final = 100_000_000
CHANGED_FILES: Final = 40
SEED: Final = 20261121


class Captured(NamedTuple):
    """What one capture took."""

    seconds: float
    looking_seconds: float
    finishing_seconds: float
    our_cpu: float
    host_cpu: float
    sent_bytes: int
    read_bytes: int
    state: CaptureState


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=1536)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apart", action="store_true", help="one core for zstd and this end, another for the host")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    Host.cores = cores[1:2] if options.apart else cores
    if options.apart:
        os.sched_setaffinity(0, cores[:1])
    console = Console()
    print_machine(console, describe_machine())
    with workspace() as folder:
        disk = make_disk(folder, options.mebibytes << 20)
        before = used_chunks(disk, folder, folder / "used.raw")
        used = (folder / "used.raw").stat().st_size
        captures, zstds = [], []
        table = Table("round", "zstd s", "its CPU", "capture s", "looking", "finishing", "CPU here", "host", "load")
        for number in range(options.rounds):
            zstds.append(zstd_seconds(folder / "used.raw", folder / "used.zst"))
            with host(folder / f"host-{number}") as asked:
                captures.append(asked.capture(disk, f"capture lab{number}"))
            shutil.rmtree(folder / f"host-{number}")
            one = captures[-1]
            seconds = (*zstds[-1], one.seconds, one.looking_seconds, one.finishing_seconds)
            figures = (*seconds, one.our_cpu, one.host_cpu, os.getloadavg()[0])
            table.add_row(str(number), *(f"{figure:.2f}" for figure in figures))
        console.print(table)
        ratio = median(one.seconds for one in captures) / median(wall for wall, _ in zstds)
        cpu_ratio = median(one.our_cpu for one in captures) / median(cpu for _, cpu in zstds)
        console.print(
            f"first capture: {used / 2**30:.2f} GiB used, {captures[-1].read_bytes / 2**30:.2f} GiB read; ratio of "
            f"medians {ratio:.2f} of seconds (asked 1.3), {cpu_ratio:.2f} of CPU seconds of this end"
        )
        with host(folder / "host") as asked:
            asked.capture(disk, "capture lab")
            change(disk, folder)
            after = used_chunks(disk, folder)
            changed = sum(size for digest, size in after.items() if digest not in before)
            again = asked.capture(disk, "capture lab")
            console.print(
                f"second capture: {again.seconds:.2f} s, {again.sent_bytes / 1e6:.1f} MB sent, changed chunks "
                f"{changed / 1e6:.1f} MB: {again.sent_bytes / changed:.2f} (asked 1.2)"
            )
            with filled(disk, folder) as root:
                (root / "student").mkdir()
                content = random.Random(SEED).randbytes(STUDENT_BYTES // 10)
                for number in range(10):
                    (root / "student" / f"photo-{number}").write_bytes(bytes([number]) + content[number:])
            held = library_bytes(folder / "host")
            asked.capture(disk, "backup")
            grown = library_bytes(folder / "host") - held
            console.print(f"backup: {grown / 1e6:.1f} MB more in the library (asked 130)")


class Host:
    """The broadcaster's end, in a process."""

    cores: Sequence[int] = ()
    """that it may use"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._identity = ReceiverIdentity.draw()
        key = self._identity.keys.identity_key.hex()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benches.capture_host", str(folder), key, self._identity.receiver_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._line()
        os.sched_setaffinity(self.process.pid, self.cores)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def capture(self, disk: Path, order: str) -> Captured:
        """Order it, and run it here."""
        assert self.process.stdin is not None
        print(order, file=self.process.stdin, flush=True)
        return asyncio.run(self._run(disk, self._line(), is_backup=order == "backup"))

    async def _run(self, disk: Path, capture_id: str, *, is_backup: bool) -> Captured:
        certificate = TlsIdentity((self.folder / "receiver.pem").read_bytes(), self._identity.tls_private_key)
        tls = pinned_context((self.folder / "authority.pem").read_bytes(), certificate)
        order = CaptureOrder(capture_id=capture_id, image="lab", is_backup=is_backup, target="")
        reached: dict[str, float] = {}
        last = CaptureNews("looking")

        def told(news: CaptureNews) -> None:
            nonlocal last
            reached.setdefault(news.doing, time.monotonic())
            last = news

        with loop_device(disk) as device:
            ours, theirs = cpu_seconds(os.getpid()), cpu_seconds(self.process.pid)
            began = time.monotonic()
            async with SeatApiLink(self.url, tls) as api:
                state = await run_capture(api, order, device, told, machine="bench")
            ended = time.monotonic()
        if state.step is not CaptureStep.DONE:
            raise SystemExit(f"the capture is {state.step}: {state.reason}")
        return Captured(
            ended - began,
            reached["sending"] - began,
            ended - reached["finishing"],
            cpu_seconds(os.getpid()) - ours,
            cpu_seconds(self.process.pid) - theirs,
            last.sent_bytes,
            last.read_bytes,
            state,
        )


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """A new library behind a new seat API."""
    one = Host(folder)
    try:
        yield one
    finally:
        assert one.process.stdin is not None
        one.process.stdin.close()
        one.process.wait(60)


def make_disk(folder: Path, used: int) -> Path:
    """A disk with a GPT and one ext4 that holds about ``used`` bytes."""
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK_SIZE)
    subprocess.run(["sfdisk", "--quiet", disk], input=b"label: gpt\ntype=linux\n", check=True)
    blocks = str((DISK_SIZE - 2 * PARTITION_OFFSET) >> 12)
    mkfs = ["mkfs.ext4", "-q", "-F", "-E", f"offset={PARTITION_OFFSET}", "-b", "4096", str(disk), blocks]
    subprocess.run(mkfs, check=True, stderr=subprocess.DEVNULL)
    with filled(disk, folder) as root:
        taken = 0
        for path in sorted(Path("/usr").rglob("*")):
            if taken >= used:
                break
            if path.is_file() and not path.is_symlink():
                target = root / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                taken += path.stat().st_size
    return disk


def change(disk: Path, folder: Path) -> None:
    """What a few weeks of updates do: some files anew."""
    draw = random.Random(SEED)
    with filled(disk, folder) as root:
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        for path in draw.sample(files, CHANGED_FILES):
            path.write_bytes(draw.randbytes(path.stat().st_size // 2) + bytes(path.stat().st_size // 2))


@contextmanager
def filled(disk: Path, folder: Path) -> Iterator[Path]:
    """The file system, to be written to."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop,offset={PARTITION_OFFSET}", disk, root], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


@contextmanager
def loop_device(disk: Path) -> Iterator[Path]:
    """The disk as a block device, which knows no holes."""
    made = subprocess.run(["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        yield Path(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def used_chunks(disk: Path, scratch: Path, copy: Path | None = None) -> dict[bytes, int]:
    """Stored bytes of each chunk that travels, by raw digest; ``copy`` takes their raw bytes."""
    sizes: dict[bytes, int] = {}
    with open_source(disk, scratch, lambda _what, _done, _total: None) as source:
        file = None if copy is None else copy.open("wb")
        for reading in survey(source, scratch).readings():
            raw = blanked(reading)
            if raw is None:
                continue
            if file is not None:
                file.write(raw)
            digest = raw_digest(raw)
            if digest not in sizes:
                sizes[digest] = len(pack(raw, DEFAULT_LEVEL))
        if file is not None:
            file.close()
    return sizes


def zstd_seconds(file: Path, packed: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, of the same level with the cores that this process may use."""
    began, before = time.monotonic(), cpu_seconds(os.getpid())
    threads = len(os.sched_getaffinity(0))
    command = ["zstd", "-q", "-f", f"-{DEFAULT_LEVEL}", f"-T{threads}", str(file), "-o", str(packed)]
    subprocess.run(command, check=True)
    seconds, cpu = time.monotonic() - began, cpu_seconds(os.getpid()) - before
    packed.unlink()
    return seconds, cpu


def library_bytes(folder: Path) -> int:
    """Bytes of all files of the library."""
    return sum(path.stat().st_size for path in (folder / "library").rglob("*") if path.is_file())


def cpu_seconds(pid: int) -> float:
    """User and system, with children that were waited for."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


if __name__ == "__main__":
    main()
