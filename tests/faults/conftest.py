"""Fixtures: disks that fail, and a room of processes that is emptied before the disks are taken away."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.room import Room
from tests.faults.storage_daemon import FaultyDisk, Node, missing_requirement

OpenDisk = Callable[..., FaultyDisk]


@pytest.fixture
def disks() -> Iterator[ExitStack]:
    """What is entered here ends after the room."""
    if reason := missing_requirement():
        pytest.skip(reason)
    with ExitStack() as disks:
        yield disks


@pytest.fixture
def room(tmp_path: Path, disks: ExitStack) -> Iterator[Room]:
    """A room in the test's folder, emptied at the end."""
    with Room(tmp_path) as room:
        yield room


@pytest.fixture
def open_disk(disks: ExitStack) -> OpenDisk:
    """``FaultyDisk.open`` until the end of the test."""

    def open_disk(
        medium: Path, fault: Node, *, write_rate: int | None = None, is_loop_device: bool = False
    ) -> FaultyDisk:
        return disks.enter_context(FaultyDisk.open(medium, fault, write_rate=write_rate, is_loop_device=is_loop_device))

    return open_disk
