"""Fixtures: a room with a library and keys, whose host each test starts itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broadcaster.host.hosted_room import HostedRoom
from tests.end_to_end.room import Room


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[HostedRoom]:
    """Emptied at the end."""
    with Room(tmp_path) as room:
        yield HostedRoom(room)
