"""Real block devices for tests: loop devices over files, and how to know that there can be none."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FREE_PATIENCE = 10.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for loop devices and mounts")


@contextmanager
def loop_device(backing_file: Path, sector_size: int = 512, *options: str) -> Iterator[str]:
    """A block device over ``backing_file``; detached at the end, whatever happens."""
    device = run("losetup", "--find", "--show", "--sector-size", str(sector_size), *options, str(backing_file))
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def partition_of(device: str) -> Iterator[str]:
    """A partition of ``device`` from 1 MiB to 6 MiB, of which its table need not know."""
    run("addpart", device, "1", "2048", "10240")
    try:
        yield f"{device}p1"
    finally:
        run("delpart", device, "1")


@contextmanager
def mounted(source: str, folder: Path, *options: str) -> Iterator[Path]:
    """``source`` mounted at ``folder``, which is made."""
    folder.mkdir()
    run("mount", *options, source, str(folder))
    try:
        yield folder
    finally:
        run("umount", str(folder))


def wait_until_free(backing_file: Path) -> None:
    """Until no loop device has the file: the kernel lets go a moment after the last process that used it has ended."""
    end = time.monotonic() + FREE_PATIENCE
    while holders := run("losetup", "--associated", str(backing_file)):
        assert time.monotonic() < end, f"still there: {holders}"
        time.sleep(0.02)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def sparse_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path
