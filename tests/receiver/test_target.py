"""What may be overwritten: real files, loop devices and mounts, and what lsblk says of disks that are not here."""

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from protocol.errors import TargetError
from protocol.manifest import ManifestHeader
from protocol.messages import ImageSummary
from protocol.ticket import DiskPolicy
from receiver import target
from receiver.blockdevice import DiskDevice
from receiver.target import (
    TargetInfo,
    TargetKind,
    check_geometry,
    check_policy,
    check_target,
    inspect_target,
    list_disks,
)
from tests.receiver.loop_device import loop_device, mounted, needs_root, partition_of, run, sparse_file
from tests.receiver.sample_image import sample_image

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.fixture(scope="module")
def header() -> ManifestHeader:
    return sample_image(random.Random(20261121), 4 * MIB).manifest.header


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk.img", SIZE)


FREE = TargetInfo(path="/dev/sda", kind=TargetKind.DISK, size=SIZE, logical_sector_size=512)


class TestCheck:
    def test_takes_a_free_disk_and_a_file_that_are_large_enough(self, header: ManifestHeader) -> None:
        check_target(FREE, header)
        check_target(replace(FREE, size=header.disk_size), header)
        check_target(replace(FREE, kind=TargetKind.FILE, logical_sector_size=None), header)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"size": 4 * MIB - 512}, r"too small: it has 4.2 MB \(4,193,792 bytes\), .* 4.2 MB \(4,194,304 bytes\)"),
            ({"size": 0}, "too small: it has 0 bytes"),
            ({"logical_sector_size": 4096}, "has sectors of 4096 bytes, the image was taken from a disk with 512"),
            ({"read_only": True}, "is read-only"),
            ({"use": "mounted at /"}, "is mounted at /; free it"),
            ({"keep_label": "Keep"}, "is labelled 'Keep'; rename that partition"),
        ],
    )
    def test_refuses_in_one_line(self, changes: dict[str, object], reason: str, header: ManifestHeader) -> None:
        with pytest.raises(TargetError, match=reason) as caught:
            check_target(replace(FREE, **changes), header)  # type: ignore[arg-type]  # each case changes another field
        assert str(caught.value).startswith("/dev/sda: ")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("policy", "reason"),
        [
            (DiskPolicy(min_size=SIZE, logical_sector_size=512), ""),
            (DiskPolicy(min_size=0, logical_sector_size=0), ""),
            (DiskPolicy(min_size=SIZE + 1, logical_sector_size=512), "has 8,388,608 bytes, the order .* 8,388,609"),
            (DiskPolicy(min_size=SIZE, logical_sector_size=4096), "has sectors of 512 bytes, the order .* 4096"),
        ],
    )
    def test_the_director_may_demand_more(self, policy: DiskPolicy, reason: str) -> None:
        check_policy(
            replace(FREE, kind=TargetKind.FILE, logical_sector_size=None),
            DiskPolicy(min_size=0, logical_sector_size=4096),
        )
        if not reason:
            check_policy(FREE, policy)
            return
        with pytest.raises(TargetError, match=reason):
            check_policy(FREE, policy)

    def test_geometry_is_what_the_open_device_says(self, header: ManifestHeader) -> None:
        check_geometry("x", header.disk_size, None, header)
        with pytest.raises(TargetError, match="x: is too small"):
            check_geometry("x", header.disk_size - 1, None, header)

    def test_a_disk_that_is_too_small_for_the_disk_and_not_for_the_files_gets_the_command_that_helps(
        self, header: ManifestHeader
    ) -> None:
        image = ImageSummary(
            name="lab", version=2, disk_size=9 * MIB, logical_sector_size=512, stored_bytes=1, least_size=SIZE
        )
        with pytest.raises(TargetError, match=f"its files could fit: .* 'slatecast image shrink lab --to {SIZE}'"):
            check_target(FREE, image)
        with pytest.raises(TargetError, match=r"too small: [^;]*$"):
            check_target(replace(FREE, size=SIZE - 512), image)
        with pytest.raises(TargetError, match=r"too small: [^;]*$"):
            check_target(replace(FREE, size=header.disk_size - 512), header)


class TestFile:
    def test_is_described(self, backing: Path) -> None:
        assert inspect_target(backing) == TargetInfo(path=str(backing), kind=TargetKind.FILE, size=SIZE)

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda path: None, "does not exist"),
            (lambda path: path.mkdir(), "is a directory; name a whole disk"),
            (os.mkfifo, "not a disk and not a regular file"),
            (lambda path: path.symlink_to("/dev/null"), "not a disk and not a regular file"),
            (lambda path: path.symlink_to(path.name), "cannot be looked at"),
        ],
    )
    def test_is_refused_if_it_is_anything_else(
        self, tmp_path: Path, make: Callable[[Path], object], reason: str
    ) -> None:
        path = tmp_path / "target"
        make(path)
        with pytest.raises(TargetError, match=reason):
            inspect_target(path)

    def test_with_a_nul_in_its_name_is_refused(self) -> None:
        with pytest.raises(TargetError, match="cannot be looked at"):
            inspect_target("disk\0.img")

    @pytest.mark.system
    @needs_root
    def test_behind_a_loop_device_is_in_use(self, backing: Path, header: ManifestHeader) -> None:
        link = backing.with_name("link.img")
        link.hardlink_to(backing)
        with loop_device(backing) as device:
            for path in (backing, link):
                with pytest.raises(TargetError, match=f"is the file behind {device}; free it"):
                    check_target(inspect_target(path), header)
        check_target(inspect_target(backing), header)

    @pytest.mark.system
    @needs_root
    def test_on_a_read_only_file_system_is_read_only(self, tmp_path: Path, header: ManifestHeader) -> None:
        with mounted("tmpfs", tmp_path / "mount", "-t", "tmpfs") as folder:
            file = sparse_file(folder / "disk.img", SIZE)
            run("mount", "-o", "remount,ro", str(folder))
            with pytest.raises(TargetError, match="is read-only"):
                check_target(inspect_target(file), header)


@pytest.mark.system
@needs_root
class TestLoopDevice:
    @pytest.mark.parametrize("sector_size", [512, 4096])
    def test_is_described(self, backing: Path, sector_size: int) -> None:
        with loop_device(backing, sector_size) as path:
            assert inspect_target(path) == TargetInfo(
                path=path, kind=TargetKind.DISK, size=SIZE, logical_sector_size=sector_size
            )

    def test_of_another_sector_size_is_refused(self, backing: Path, header: ManifestHeader) -> None:
        with loop_device(backing, 4096) as path, pytest.raises(TargetError, match="has sectors of 4096 bytes"):
            check_target(inspect_target(path), header)

    def test_that_is_read_only_is_refused(self, backing: Path, header: ManifestHeader) -> None:
        with loop_device(backing, 512, "--read-only") as path, pytest.raises(TargetError, match="is read-only"):
            check_target(inspect_target(path), header)

    def test_that_is_mounted_is_refused(self, backing: Path, header: ManifestHeader) -> None:
        with loop_device(backing) as path:
            run("mkfs.ext4", "-q", path)
            with (
                mounted(path, backing.with_name("mount")) as folder,
                pytest.raises(TargetError, match=rf"{path}: is mounted at {folder} \({path}\); free it"),
            ):
                check_target(inspect_target(path), header)
            check_target(inspect_target(path), header)

    def test_that_somebody_else_opened_is_refused(self, backing: Path, header: ManifestHeader) -> None:
        with loop_device(backing) as path:
            with DiskDevice.open(path):
                info = inspect_target(path)
            with pytest.raises(TargetError, match="is in use by another program"):
                check_target(info, header)

    def test_that_is_swap_is_refused(self, backing: Path, header: ManifestHeader) -> None:
        with loop_device(backing) as path:
            run("mkswap", path)
            if subprocess.run(["swapon", path], capture_output=True, check=False).returncode:
                pytest.skip("needs a kernel that may swap")
            try:
                with pytest.raises(TargetError, match="is used as swap"):
                    check_target(inspect_target(path), header)
            finally:
                run("swapoff", path)

    def test_partition_is_refused_and_its_mount_makes_the_disk_in_use(
        self, backing: Path, header: ManifestHeader
    ) -> None:
        # addpart, because a kernel may know no partition tables at all.
        with loop_device(backing) as path, partition_of(path) as partition:
            with pytest.raises(TargetError, match="is a partition, and an image is a whole disk"):
                inspect_target(partition)
            run("mkfs.ext4", "-q", partition)
            with mounted(partition, backing.with_name("mount")) as folder:
                info = inspect_target(path)
                with pytest.raises(TargetError, match="is in use"):
                    DiskDevice.open(path)
            assert info.use == f"mounted at {folder} ({partition})"
            check_target(inspect_target(path), header)

    def test_is_no_disk_of_the_machine(self, backing: Path) -> None:
        with loop_device(backing) as path:
            assert path not in [disk.path for disk in list_disks()]


LSBLK_DISK = {
    "kname": "sda", "path": "/dev/sda", "type": "disk", "size": 500107862016, "log-sec": 512, "ro": False, "rm": False,
    "model": "Samsung SSD 870 EVO 500GB ", "serial": "S62ANJ0R", "wwn": "0x5002538f", "tran": "sata",
    "mountpoint": None,
}  # fmt: skip


def child(**facts: object) -> dict[str, object]:
    return {**LSBLK_DISK, "kname": "sda1", "path": "/dev/sda1", "type": "part", "model": None, **facts}


class TestLsblk:
    @pytest.fixture
    def fake_lsblk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """A program called lsblk that says what a test wants, for disks that this machine has not."""

        def answer(script: str) -> None:
            program = tmp_path / "lsblk"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

        return answer

    def disks(self, fake_lsblk: Callable[[str], None], *disks: dict[str, object]) -> list[TargetInfo]:
        fake_lsblk("cat <<'END'\n" + msgspec.json.encode({"blockdevices": disks}).decode() + "\nEND")
        return list_disks()

    def test_describes_a_disk(self, fake_lsblk: Callable[[str], None]) -> None:
        assert self.disks(fake_lsblk, LSBLK_DISK) == [
            TargetInfo(
                path="/dev/sda",
                kind=TargetKind.DISK,
                size=500107862016,
                logical_sector_size=512,
                model="Samsung SSD 870 EVO 500GB",
                serial="S62ANJ0R",
                wwn="0x5002538f",
                bus="sata",
            )
        ]

    @pytest.mark.parametrize(
        ("children", "use"),
        [
            ([child()], ""),
            ([child(mountpoint="/boot")], "mounted at /boot (/dev/sda1)"),
            ([child(), child(mountpoint="[SWAP]", path="/dev/sda2")], "used as swap (/dev/sda2)"),
            ([child(children=[child(type="raid1", path="/dev/md0")])], "used by /dev/md0 (raid1)"),
            ([child(children=[child(type="crypt", path="/dev/mapper/root")])], "used by /dev/mapper/root (crypt)"),
        ],
    )
    def test_knows_who_uses_it(self, fake_lsblk: Callable[[str], None], children: list[object], use: str) -> None:
        assert [disk.use for disk in self.disks(fake_lsblk, {**LSBLK_DISK, "children": children})] == [use]

    @pytest.mark.parametrize(
        ("facts", "is_it"),
        [
            ({}, False),
            ({"partuuid": "0FC63DAF-8483"}, True),
            ({"uuid": "0fc63daf-8483"}, True),
            ({"label": "0fc63daf-8483"}, True),
            ({"partuuid": "0fc63daf"}, False),
        ],
    )
    def test_knows_what_this_system_was_booted_from(
        self,
        fake_lsblk: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
        facts: dict[str, object],
        is_it: bool,
    ) -> None:
        monkeypatch.setattr(target, "boot_names", lambda: frozenset({"0fc63daf-8483"}))
        (disk,) = self.disks(fake_lsblk, {**LSBLK_DISK, "children": [child(**facts)]})
        assert disk.use == ("what this system was booted from (/dev/sda1)" if is_it else "")

    @pytest.mark.parametrize(
        ("facts", "removable"), [({}, False), ({"rm": True}, True), ({"tran": "usb"}, True), ({"tran": None}, False)]
    )
    def test_knows_what_is_removable(
        self, fake_lsblk: Callable[[str], None], facts: dict[str, object], removable: bool
    ) -> None:
        assert [disk.removable for disk in self.disks(fake_lsblk, {**LSBLK_DISK, **facts})] == [removable]

    @pytest.mark.parametrize(
        "facts",
        [{"type": "loop"}, {"type": "rom"}, {"kname": "zram0"}, {"kname": "ram3"}, {"size": 0}, {"size": None}],
    )
    def test_leaves_out_what_is_no_disk(self, fake_lsblk: Callable[[str], None], facts: dict[str, object]) -> None:
        assert self.disks(fake_lsblk, {**LSBLK_DISK, **facts}) == []

    def test_of_old_versions_says_the_same(self, fake_lsblk: Callable[[str], None]) -> None:
        old = {**LSBLK_DISK, "size": "500107862016", "log-sec": "512", "ro": "0", "rm": "0"}
        assert self.disks(fake_lsblk, old) == self.disks(fake_lsblk, LSBLK_DISK)

    @pytest.mark.parametrize("script", ["echo nonsense", "echo '{}'", "echo broken >&2; exit 1", "exit 32"])
    def test_that_fails_is_a_refusal(self, fake_lsblk: Callable[[str], None], script: str) -> None:
        fake_lsblk(script)
        with pytest.raises(TargetError, match="the disks: cannot be looked at"):
            list_disks()

    def test_that_hangs_is_a_refusal(self, fake_lsblk: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(target, "_LSBLK_TIMEOUT", 0.05)
        fake_lsblk("exec sleep 60")
        with pytest.raises(TargetError, match="timed out"):
            list_disks()

    def test_that_is_missing_is_a_refusal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(TargetError, match="install util-linux"):
            list_disks()

    def test_real_one_knows_the_disks_of_this_machine(self) -> None:
        for disk in list_disks():
            assert disk.size > 0
            assert disk.logical_sector_size in (512, 4096)
