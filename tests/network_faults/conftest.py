"""Fixtures: a room of processes, and a lab of namespaces with it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.room import Room
from tests.lab import Lab
from tests.network_faults.classroom import IMAGE_BYTES, Classroom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room in the test's folder, emptied at the end."""
    with Room(tmp_path) as room:
        yield room


@pytest.fixture
def classroom(room: Room) -> Iterator[Callable[..., Classroom]]:
    """Makes classrooms of so many hosts: ``classroom(4, size=..., snooping=...)``."""
    with ExitStack() as labs:

        def make(receivers: int, *, size: int = IMAGE_BYTES, snooping: bool = False) -> Classroom:
            return Classroom(room, labs.enter_context(Lab(receivers, snooping=snooping)), size=size)

        yield make
