import shutil
from pathlib import Path

import pytest

from protocol.configuration import GrowStep, StepState
from protocol.errors import DiskError, RefusedError
from receiver.configure.growing import grow
from receiver.configure.outcome import Outcome
from receiver.configure.running import run_well
from tests.receiver.configure.written_disk import BASIC_DATA, MIB, RECOVERY, RESERVED, WrittenDisk, disk_of, real_disk

pytestmark = real_disk

ONE = "label: {}\nstart=2048,size={}\n"
LOGICAL = "label: dos\n/x1: start=2048,size=8192\n/x2: start=10240,size=61440,type=5\n/x5: start=12288,size=40960\n"
WINDOWS = f"""\
label: gpt
start=2048,size=8192,type=U
start=10240,size=8192,type={RESERVED}
start=18432,size=40960,type={BASIC_DATA}
start=59392,size=8192,type={RECOVERY}
"""


def grown(disk: WrittenDisk, partition: int = 0) -> Outcome:
    with disk.opened() as target:
        return grow(target, GrowStep(partition=partition))


@pytest.mark.parametrize(
    ("filesystem", "label", "mib"),
    [("ext4", "gpt", 32), ("ext2", "dos", 32), ("ntfs", "gpt", 32), ("xfs", "gpt", 310), ("btrfs", "dos", 300)],
)
def test_the_last_partition_fills_a_larger_disk_and_does_so_once(
    tmp_path: Path, filesystem: str, label: str, mib: int
) -> None:
    disk = disk_of(tmp_path / "disk.img", mib + 2, ONE.format(label, mib * 2048), {1: filesystem})
    with disk.mounted() as folder:
        (folder / "kept").write_bytes(b"what was there")
    disk.enlarge(64)
    outcome = grown(disk)
    assert outcome.state is StepState.DONE
    assert "partition 1" in outcome.text
    (partition,) = disk.table()["partitions"]
    end = (partition["start"] + partition["size"]) * 512
    assert disk.path.stat().st_size - end < 2 * MIB
    with disk.mounted() as folder:
        assert (folder / "kept").read_bytes() == b"what was there"
        assert shutil.disk_usage(folder).total > (mib + 40) * MIB * 0.8
    again = grown(disk)
    assert again.state is StepState.SKIPPED


def test_the_backup_table_is_at_the_end(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 34, ONE.format("gpt", 65536), {1: "ext4"})
    disk.enlarge(32)
    grown(disk)
    assert disk.path.read_bytes()[-512:].startswith(b"EFI PART")


def test_a_file_system_that_a_power_cut_left_small_grows_into_its_partition(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 34, ONE.format("gpt", 65536), {1: "ext4"})
    disk.enlarge(32)
    with disk.opened() as target:
        run_well(target.stopping, "sfdisk", "--no-reread", "--no-tell-kernel", "-N", "1", target.device, stdin=",+\n")
    assert grown(disk).state is StepState.DONE


def test_a_logical_partition_grows_with_the_one_that_holds_it(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 36, LOGICAL, {1: "ext4", 5: "ext4"})
    disk.enlarge(32)
    assert grown(disk).state is StepState.DONE
    sizes = {each["node"][-1]: each["size"] for each in disk.table()["partitions"]}
    assert sizes["5"] * 512 > 55 * MIB
    assert sizes["2"] > sizes["5"]
    assert grown(disk).state is StepState.SKIPPED


def test_windows_grows_up_to_its_recovery_partition_which_goes_to_the_end(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 36, WINDOWS, {1: "vfat", 3: "ntfs", 4: "ntfs"})
    with disk.mounted(4) as folder:
        (folder / "winre.wim").write_bytes(b"recovery" * 1000)
    disk.enlarge(64)
    outcome = grown(disk)
    assert "recovery" in outcome.text
    assert "Windows checks it" in outcome.text
    _, reserved, system, recovery = disk.table()["partitions"]
    assert reserved["start"] == 10240
    assert system["start"] == 18432
    assert system["start"] + system["size"] == recovery["start"]
    assert (recovery["start"] + recovery["size"]) * 512 > 98 * MIB
    with disk.mounted(4) as folder:
        assert (folder / "winre.wim").read_bytes() == b"recovery" * 1000
    assert grown(disk).state is StepState.SKIPPED


def test_what_has_another_partition_behind_it_is_refused(tmp_path: Path) -> None:
    script = "label: gpt\nstart=2048,size=32768\nstart=34816,size=16384,type=S\n"
    disk = disk_of(tmp_path / "disk.img", 28, script, {1: "ext4"})
    disk.enlarge(32)
    before = disk.table()["partitions"]
    with pytest.raises(RefusedError, match="partition 2 lies behind partition 1"):
        grown(disk)
    assert disk.table()["partitions"] == before


@pytest.mark.parametrize(("partition", "words"), [(3, "no partition 3"), (1, "is no file system")])
def test_a_partition_that_cannot_grow_is_refused(tmp_path: Path, partition: int, words: str) -> None:
    disk = disk_of(tmp_path / "disk.img", 34, ONE.format("gpt", 65536), {1: "vfat"})
    with pytest.raises(RefusedError, match=words):
        grown(disk, partition)


def test_a_disk_without_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(MIB))
    with pytest.raises(RefusedError, match="no partition table"):
        grown(WrittenDisk(path))


def test_a_hibernated_windows_does_not_grow(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 34, ONE.format("gpt", 65536), {1: "ntfs"})
    with disk.mounted() as folder:
        (folder / "hiberfil.sys").write_bytes(b"hibr" + bytes(4092))
    disk.enlarge(32)
    with pytest.raises(DiskError, match="hibernated"):
        grown(disk)
