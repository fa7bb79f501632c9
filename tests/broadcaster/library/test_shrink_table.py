import random
from pathlib import Path

import pytest

from broadcaster.library.shrink_table import changed, move_down
from protocol.errors import RefusedError

MIB = 1 << 20
DUMP = """label: gpt
label-id: 1AC1DA7C-9C0E-7B41-94F2-553739F2C316
device: /dev/loop0
unit: sectors
first-lba: 2048
last-lba: 1228766
sector-size: 512

/dev/loop0p1 : start=        2048, size=       40960, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="size= 7"
/dev/loop0p12 : start=      894976, size=      122880, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, attrs="GUID:63"
""".splitlines()


def test_places_change_and_nothing_else() -> None:
    script = changed(DUMP, {12: (64 * MIB, 60 * MIB)}, 512)
    assert script == [
        *(line for line in DUMP[:8] if not line.startswith(("device", "last-lba"))),
        DUMP[8],
        '/dev/loop0p12 : start=131072, size=122880, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, attrs="GUID:63"',
    ]
    assert "start=16384, size=256," in changed(DUMP, {1: (64 * MIB, MIB)}, 4096)[-2]


def test_a_table_without_the_partition_is_refused() -> None:
    with pytest.raises(RefusedError, match="has changed"):
        changed(DUMP, {2: (0, MIB)}, 512)


@pytest.mark.parametrize("distance", [512, MIB, 3 * MIB + 4096, 10 * MIB])
def test_what_overlaps_moves_down_whole(tmp_path: Path, distance: int) -> None:
    moved = random.Random(7).randbytes(4 * MIB + 512)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(12 * MIB) + moved)
    told: list[int] = []
    move_down(disk, 12 * MIB, 12 * MIB - distance, len(moved), lambda _what, done, _total: told.append(done))
    assert disk.read_bytes()[12 * MIB - distance :][: len(moved)] == moved
    assert told[-1] == len(moved)


def test_what_is_in_its_place_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"x" * 4096)
    disk.chmod(0)
    move_down(disk, 512, 512, 512, lambda _what, _done, _total: None)
