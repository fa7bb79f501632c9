import pytest

from broadcaster.environment.description import LOADER_FILES
from broadcaster.environment.recipe import LEFT_OUT, LOADERS, MODULES, PACKAGES


@pytest.mark.parametrize(
    "tool", ["partclone", "fdisk", "e2fsprogs", "ntfs-3g", "xfsprogs", "btrfs-progs", "dosfstools", "efibootmgr"]
)
def test_what_restoring_and_configuring_disks_takes(tool: str) -> None:
    assert tool in PACKAGES


@pytest.mark.parametrize(
    "module",
    [
        "kernel/drivers/md/md-mod.ko",
        "kernel/drivers/md/dm-mod.ko",
        "kernel/drivers/md/bcache/bcache.ko",
        "kernel/drivers/md/raid456.ko",
        "kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko",
    ],
)
def test_nothing_that_starts_by_itself_on_a_disk_and_no_wireless(module: str) -> None:
    assert not module.startswith(MODULES)


@pytest.mark.parametrize("package", ["lvm2", "mdadm", "bcache-tools", "udisks2", "systemd-sysv", "cryptsetup"])
def test_no_program_that_starts_anything_on_a_disk(package: str) -> None:
    assert package not in PACKAGES


def test_every_loader_has_its_source() -> None:
    assert set(LOADERS) == set(LOADER_FILES)


def test_lists_are_sorted_and_have_nothing_twice() -> None:
    for names in (PACKAGES, LEFT_OUT):
        assert len(set(names)) == len(names)
    assert list(PACKAGES) == sorted(PACKAGES)
