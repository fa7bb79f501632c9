"""Fixtures: a room of processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.room import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room in the test's folder, emptied at the end."""
    with Room(tmp_path) as room:
        yield room
