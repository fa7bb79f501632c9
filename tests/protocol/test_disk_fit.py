import random
from typing import Any

import msgspec
import pytest

from protocol.disk_fit import ALIGNMENT, FitVerdict, aligned, choose, fit, judge, least_size, why_not_smaller
from protocol.firmware import BIOS_BOOT, EFI_SYSTEM
from protocol.manifest import ManifestHeader, PartitionInfo
from tests.receiver.sample_image import sample_image

MIB = 1 << 20
GIB = 1 << 30
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
PLAIN = sample_image(random.Random(1), 4 * MIB).manifest.header


def part(number: int, start: int, length: int, filesystem: str = "", used: int | None = None, **more: Any) -> Any:
    """In MiB."""
    return PartitionInfo(
        number=number,
        offset=start * MIB,
        length=length * MIB,
        type=more.get("type", LINUX),
        filesystem=filesystem,
        label="",
        used_bytes=(length if used is None else used) * MIB,
    )


def disk(size: int, *partitions: PartitionInfo, table: str = "gpt") -> ManifestHeader:
    """In MiB."""
    return msgspec.structs.replace(PLAIN, disk_size=size * MIB, partition_table=table, partitions=partitions)


EFI = part(1, 1, 100, "vfat", type=EFI_SYSTEM)
MSR = part(2, 101, 16)
WINDOWS = disk(100_000, EFI, MSR, part(3, 117, 99_000, "ntfs", 30_000), part(4, 99_200, 600, "ntfs", 500))
SERVER = disk(50_000, EFI, part(2, 101, 40_000, "ext4", 4_000), part(3, 40_200, 1_000, "swap", 1))


def test_windows_gives_up_the_space_before_its_recovery_partition() -> None:
    choice = choose(WINDOWS)
    assert choice.partition is not None
    assert (choice.partition.number, [each.number for each in choice.behind]) == (3, [4])
    least = least_size(WINDOWS)
    assert 30_000 * MIB < least < 34_000 * MIB
    assert fit(WINDOWS, least).verdict is FitVerdict.FITS_AFTER_SHRINK
    assert fit(WINDOWS, least - 1) == fit(WINDOWS, 1)
    assert (fit(WINDOWS, 1).verdict, fit(WINDOWS, 1).size) == (FitVerdict.TOO_SMALL, least)
    assert fit(WINDOWS, WINDOWS.disk_size).verdict is FitVerdict.FITS


def test_what_is_said_of_an_announcement() -> None:
    assert judge(100, 0, 99).verdict is FitVerdict.TOO_SMALL
    assert judge(100, 50, 50).verdict is FitVerdict.FITS_AFTER_SHRINK
    assert judge(100, 50, 100).verdict is FitVerdict.FITS


@pytest.mark.parametrize("header", [WINDOWS, SERVER], ids=["windows", "server"])
def test_length_and_disk_size_undo_each_other(header: ManifestHeader) -> None:
    choice = choose(header)
    for size in random.Random(20261121).sample(range(1_000, 30_000), 50):
        length = choice.length_for(size * MIB + 12_345)
        end = choice.disk_size(length, header)
        assert length % ALIGNMENT == 0
        assert size * MIB - 2 * ALIGNMENT < end <= size * MIB


@pytest.mark.parametrize(
    ("header", "number"),
    [
        (SERVER, 2),
        (disk(50_000, part(1, 1, 20_000, "ext4", 100), part(2, 20_001, 29_000, "xfs")), None),
        (disk(50_000, part(1, 1, 20_000, "ext4", 100), part(2, 20_001, 1_000, "xfs")), 1),
        (disk(50_000, part(1, 1, 20_000, "ext4", 100), part(2, 20_001, 1, type=BIOS_BOOT)), None),
        (disk(50_000, part(1, 1, 20_000, "ext4", 20_000)), None),
        (disk(50_000, part(1, 1, 9_000, "ext4", 9), part(5, 20_001, 1_000, "swap"), table="dos"), None),
        (disk(50_000, part(5, 1, 49_000, "ext4", 9), table="dos"), None),
        (disk(50_000, part(1, 1, 49_000, "ext4", 9), table="dos"), 1),
        (disk(50_000), None),
    ],
)
def test_what_can_be_made_smaller(header: ManifestHeader, number: int | None) -> None:
    partition = choose(header).partition
    assert (partition.number if partition else None) == number


def test_free_space_behind_the_last_partition_can_go_without_touching_a_file_system() -> None:
    header = disk(50_000, EFI, part(2, 101, 9_000, "xfs", 9))
    assert least_size(header) == (9_101 + 1) * MIB
    assert why_not_smaller(header) == ""


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (disk(9_102, EFI, part(2, 101, 9_000, "xfs", 9)), "xfs in its last partition cannot be made smaller"),
        (disk(9_102, EFI, part(2, 101, 9_000)), "an unknown file system in its last"),
        (disk(9_102, EFI, part(2, 101, 9_000, "ext4")), "its file systems are full"),
        (disk(100, part(0, 0, 100, "ext4", 5), table="none"), "it has no partition table"),
        (disk(100), "it has no partitions"),
        (WINDOWS, ""),
    ],
)
def test_why_nothing_can(header: ManifestHeader, words: str) -> None:
    assert why_not_smaller(header).startswith(words)
    assert bool(words) == (why_not_smaller(header) != "")
    if words:
        assert least_size(header) == header.disk_size


def test_aligned_is_the_next_mebibyte() -> None:
    assert [aligned(count) for count in (0, 1, MIB, MIB + 1)] == [0, MIB, MIB, 2 * MIB]
