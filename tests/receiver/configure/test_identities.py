from pathlib import Path

import pytest

from protocol.configuration import IdentitiesStep, StepState
from protocol.errors import RefusedError
from receiver.configure.identities import renew_identities
from receiver.configure.outcome import Outcome
from tests.receiver.configure.written_disk import SEED, WrittenDisk, disk_of, linux_tree, real_disk, run

pytestmark = real_disk


def renewed(disk: WrittenDisk, seed: str = SEED) -> Outcome:
    with disk.opened() as target:
        return renew_identities(target, IdentitiesStep(seed=seed))


def identities(disk: WrittenDisk) -> list[str]:
    table = disk.table()
    return [table["id"].lower(), *(each.get("uuid", "").lower() for each in table["partitions"])]


def test_a_gpt_gets_identities_that_follow_from_the_seed_and_what_names_them_follows(linux: WrittenDisk) -> None:
    old = identities(linux)
    with linux.mounted() as folder:
        (folder / "etc/fstab").write_text(f"PARTUUID={old[1].upper()} / ext4 defaults 0 1\n")
        (folder / "boot/loader/entries").mkdir(parents=True)
        (folder / "boot/loader/entries/a.conf").write_text(f"options root=PARTUUID={old[1]} quiet\n")
        (folder / "etc/motd").write_text(f"not a reference: {old[1]}\n")
    outcome = renewed(linux)
    new = identities(linux)
    assert outcome.state is StepState.DONE
    assert "/etc/fstab, /boot/loader/entries/a.conf" in outcome.text
    assert not set(old) & set(new)
    with linux.mounted() as folder:
        assert (folder / "etc/fstab").read_text() == f"PARTUUID={new[1]} / ext4 defaults 0 1\n"
        assert new[1] in (folder / "boot/loader/entries/a.conf").read_text()
        assert old[1] in (folder / "etc/motd").read_text()
    assert renewed(linux).state is StepState.SKIPPED
    assert identities(linux) == new
    renewed(linux, "0a" * 16)
    assert not set(new) & set(identities(linux))


def test_an_mbr_gets_a_disk_id(tmp_path: Path) -> None:
    tree = linux_tree(tmp_path / "tree")
    disk = disk_of(tmp_path / "disk.img", 34, "label: dos\nlabel-id: 0x12345678\nstart=2048,size=65536\n", {}, tree)
    with disk.opened() as target:
        (partition,) = target.table().partitions
        run("mkfs.ext4", "-q", "-d", str(tree), partition.node)
    with disk.mounted() as folder:
        (folder / "etc/fstab").write_text("PARTUUID=12345678-01 / ext4 defaults 0 1\n")
    assert renewed(disk).state is StepState.DONE
    disk_id = disk.table()["id"]
    assert disk_id not in {"0x12345678", "0x00000000"}
    with disk.mounted() as folder:
        assert (folder / "etc/fstab").read_text() == f"PARTUUID={disk_id[2:]}-01 / ext4 defaults 0 1\n"
    assert renewed(disk).state is StepState.SKIPPED


def test_the_disk_of_a_windows_keeps_its_own(windows: WrittenDisk) -> None:
    old = identities(windows)
    with pytest.raises(RefusedError, match="boot configuration"):
        renewed(windows)
    assert identities(windows) == old


def test_what_the_efi_partition_names_is_refused_before_anything_changes(tmp_path: Path) -> None:
    script = "label: gpt\nstart=2048,size=8192,type=U\nstart=10240,size=32768\n"
    disk = disk_of(tmp_path / "disk.img", 24, script, {1: "vfat", 2: "ext4"}, linux_tree(tmp_path / "tree"))
    old = identities(disk)
    entry = tmp_path / "entry"
    entry.write_text(f"options root=PARTUUID={old[2]}\n")
    with disk.opened() as target:
        node = target.table().partitions[0].node
        run("mmd", "-i", node, "::/loader", "::/loader/entries")
        run("mcopy", "-i", node, str(entry), "::/loader/entries/debian.conf")
    with pytest.raises(RefusedError, match=r"loader/entries/debian\.conf"):
        renewed(disk)
    assert identities(disk) == old
