"""Disks with bytes turned where tables and file systems keep their own: sfdisk, blkid and partclone read them, and we
read what those say. One disk takes a quarter of a second of their time, so no fuzzer is of use here; seeds are.
"""

import random
from pathlib import Path

import pytest

from protocol.disk.partitions import read_partition_table
from protocol.disk.source import open_source
from protocol.disk.used_blocks import find_used_blocks
from protocol.errors import SlatecastError
from tests.broadcaster.library.disks import MIB, SECTOR, needs, partition_disk, sparse_file

pytestmark = [pytest.mark.slow, needs("sfdisk", "fdisk"), needs("blkid", "util-linux")]

TABLES = {
    "gpt": "label: gpt\nstart=2048,size=2048,type=linux\nstart=4096,type=linux\n",
    "dos": "label: dos\nstart=2048,size=2048,type=83\nstart=4096,type=5\nstart=6144,size=100,type=83\n",
}
DISKS = 60
EDGE = 40 * SECTOR
"""[bytes] of each end of the disk, where the tables are"""


@pytest.mark.parametrize("table", TABLES)
def test_fuzz_a_turned_byte_in_a_table_is_read_or_refused(table: str, tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "disk.img", 4 * MIB)
    partition_disk(path, TABLES[table])
    good = path.read_bytes()
    read, complaints = 0, []
    for seed in range(DISKS):
        path.write_bytes(turned(good, random.Random(f"{table} {seed}")))
        try:
            with open_source(path, tmp_path, lambda *_: None) as source:
                partitions = read_partition_table(source).partitions
                for partition in partitions:
                    assert 0 <= partition.offset <= partition.offset + partition.length <= source.size
                    used = find_used_blocks(source, partition, tmp_path) if seed % 4 == 0 else None
                    assert used is None or 0 <= used.used_bytes(partition) <= partition.length
        except SlatecastError as error:
            complaints.append(str(error))
        else:
            read += 1
    assert 0 < read < DISKS
    assert all(map(str.isprintable, complaints)), complaints


def turned(good: bytes, rng: random.Random) -> bytes:
    """A few bytes of the table changed; one disk in five is cut short as well."""
    disk = bytearray(good)
    places = [place for place in (*range(EDGE), *range(len(disk) - EDGE, len(disk))) if disk[place]]
    for _ in range(rng.choice([1, 2, 5, 20])):
        disk[rng.choice(places)] = rng.choice([0, 0xFF, rng.randrange(256)])
    return bytes(disk[: rng.randrange(SECTOR, len(disk)) // SECTOR * SECTOR] if rng.random() < 0.2 else disk)
