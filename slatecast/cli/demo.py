"""``slatecast demo``: the main job on this machine alone: sample disk, library, eight receivers, one cast, a proof."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from broadcaster.cast_config import CastConfig
from broadcaster.control_side import ControlSetting
from broadcaster.keys import KeyStore
from broadcaster.library.adding import find_or_add
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library
from broadcaster.readiness import StartPolicy
from broadcaster.service import INTERRUPTED
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import resolve_interface
from protocol.manifest import Manifest
from protocol.pairing import WORDS_SEED_LENGTH, new_token
from slatecast.casting import CastSetting, run_cast
from slatecast.cli.cast import exit_code, say_what_failed
from slatecast.cli.parameters import Rate
from slatecast.cli.progress import progress_bars
from slatecast.cli.room_display import print_report
from slatecast.cli.words import bytes_in_words
from slatecast.comparison import compare_disk
from slatecast.sample_disk import build_sample_disk

DEMO_RATE: Final = 400_000_000
"""[bit/s] What eight receivers, a broadcaster and a broker on two cores keep up with."""

START_PATIENCE: Final = 60.0
"""[s] Sixty Python processes start within this on two slow cores."""

FREE_PORT: Final = 0

RECEIVER_EXIT_SECONDS: Final = 20.0
"""[s] A receiver leaves within 15 s of its final report, acknowledged or not."""


@click.command()
@click.argument("image", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--seats", type=click.IntRange(1, 60), default=8, show_default=True, help="Receivers on this machine.")
@click.option("--rate", type=Rate(), default=DEMO_RATE, help="Bits per second.  [default: 400M]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Keep library and disks here instead of in a temporary folder.",
)
def demo(*, image: Path | None, seats: int, rate: int, folder: Path | None) -> int:
    """Cast a sample disk, or IMAGE, to SEATS receivers on this machine and prove every disk.

    Each receiver is a process of its own and writes a disk file of its own. All traffic stays on the loopback
    interface; no root is needed.
    """
    console = Console()
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slatecast-demo-")))
        source = image or _sample_disk(folder, console)
        keys = KeyStore.open_or_create(folder / "keys")
        library = Library.open_or_create(folder / "library")
        with progress_bars() as progress:
            manifest = find_or_add(library, str(source.absolute()), progress=progress, signer=keys.image)
        token = new_token(secrets.token_bytes(WORDS_SEED_LENGTH))
        disks = [folder / f"seat-{number}.disk" for number in range(1, seats + 1)]
        interface = resolve_interface("lo")
        receivers = _Receivers(disks, manifest.header.disk_size)
        config = CastConfig(interface, StartPolicy(seats, START_PATIENCE), rate, rate, use_ipv6=False)
        setting = CastSetting(
            ControlSetting(token, port=FREE_PORT, broker_port=FREE_PORT),
            on_open=lambda door: receivers.start(stack, door, token),
        )
        outcome = run_cast(library, manifest, keys, config, setting)
        if outcome.end_reason == INTERRUPTED:
            raise KeyboardInterrupt
        receivers.wait()
        print_report(outcome, console)
        if (code := exit_code(outcome)) != 0:
            say_what_failed(outcome)
            return code
        _compare(library, manifest, source, disks, console)
    return 0


def _sample_disk(folder: Path, console: Console) -> Path:
    path = folder / "sample.disk"
    start = time.monotonic()
    with console.status("building a sample disk: GPT, an EFI partition, ext4 with some of this machine's /usr"):
        build_sample_disk(path)
    console.print(f"sample disk {path} built in {time.monotonic() - start:.1f} s", highlight=False)
    return path


class _Receivers:
    """The receiver processes; each is ended when the demo ends, whatever happens."""

    def __init__(self, disks: list[Path], disk_size: int) -> None:
        self._disks = disks
        self._disk_size = disk_size
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, stack: ExitStack, door: FrontDoorAddress, token: str) -> None:
        # In the environment, since everybody may read a command line.
        environment = {**os.environ, "SLATECAST_RECEIVE_TOKEN": token}
        for number, disk in enumerate(self._disks, start=1):
            with disk.open("wb") as file:
                file.truncate(self._disk_size)
            command = [sys.executable, "-m", "slatecast", "receive", "--once", "--interface", "lo"]
            command += ["--target", str(disk), "--server", str(door), "--seat", f"seat-{number}", "--countdown", "0"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
            stack.enter_context(_ended(process))
            self._processes.append(process)

    def wait(self) -> None:
        for process in self._processes:
            process.wait(RECEIVER_EXIT_SECONDS)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _compare(library: Library, manifest: Manifest, source: Path, disks: list[Path], console: Console) -> None:
    """Compare every disk with the source, byte by byte where the image is used or zero.

    Raises:
        IntegrityError: a disk differs.
    """
    with tempfile.TemporaryDirectory(dir=disks[0].parent) as folder:
        reference = source
        if source.stat().st_size != manifest.header.disk_size:  # not raw: compare with what the library gives back
            reference = Path(folder) / "reference.disk"
            export_image(library, manifest, reference)
        start = time.monotonic()
        compared = sum(compare_disk(manifest, reference, disk) for disk in disks)
    console.print(
        f"{len(disks)} disks compared with {source}: identical, {bytes_in_words(compared)} "
        f"in {time.monotonic() - start:.1f} s",
        highlight=False,
    )
