"""Which disk a rule means: exactly one, or a refusal that names the candidates."""

from pathlib import Path

import pytest

from protocol.errors import TargetError
from receiver.target import TargetInfo, TargetKind
from receiver.target_rule import choose_disk, resolve_target


def disk(path: str, size: int, **facts: str | bool) -> TargetInfo:
    return TargetInfo(path=path, kind=TargetKind.DISK, size=size, logical_sector_size=512, **facts)  # type: ignore[arg-type]  # the facts of one test


SATA = disk("/dev/sda", 500_107_862_016, model="Samsung SSD 870 EVO", serial="S62ANJ0R", wwn="0x5002538f", bus="sata")
NVME = disk(
    "/dev/nvme0n1", 1_000_204_886_016, model="WD_BLACK SN770", serial="22123A80", wwn="eui.e8238fa6", bus="nvme"
)
STICK = disk("/dev/sdb", 15_500_000_000, model="Cruzer", serial="4C53", bus="usb", removable=True)
SYSTEM = disk("/dev/vda", 250_000_000_000, bus="virtio", use="mounted at / (/dev/vda1)")
CARD = disk("/dev/mmcblk0", 32_000_000_000, serial="0x12", read_only=True)
KEPT = disk("/dev/sdc", 250_000_000_000, serial="77", bus="sata", keep_label="keep")


class TestOneDisk:
    @pytest.mark.parametrize(
        ("rule", "disks", "expected"),
        [
            ("auto", [SATA], SATA),
            ("auto", [SATA, STICK, SYSTEM, CARD], SATA),
            ("auto", [SATA, KEPT], SATA),
            ("serial=S62ANJ0R", [SATA, NVME], SATA),
            ("serial=s62anj0r", [SATA, NVME], SATA),
            ("serial=4C53", [SATA, STICK], STICK),
            ("wwn=0x5002538F", [SATA, NVME], SATA),
            ("wwn=naa.5002538f", [SATA, NVME], SATA),
            ("wwn=e8238fa6", [SATA, NVME], NVME),
            ("model=samsung*", [SATA, NVME], SATA),
            ("model=WD BLACK*", [SATA, NVME], NVME),
            ("model=WD_BLACK SN770", [SATA, NVME], NVME),
            ("bus=nvme", [SATA, NVME], NVME),
            ("bus=usb", [SATA, STICK], STICK),
            ("size>=600G", [SATA, NVME, STICK], NVME),
            ("size >= 0.9T", [SATA, NVME, STICK], NVME),
            ("size<=500G", [SATA, NVME, STICK, disk("/dev/sdc", 499_000_000_000)], disk("/dev/sdc", 499_000_000_000)),
            ("size>=465Gi,size<=466Gi", [SATA, NVME], SATA),
            ("bus=sata, size>=100GB", [SATA, NVME], SATA),
        ],
    )
    def test_is_meant(self, rule: str, disks: list[TargetInfo], expected: TargetInfo) -> None:
        assert choose_disk(rule, disks) == expected


class TestRefusal:
    @pytest.mark.parametrize("rule", ["auto", "size>=100G", "bus=*", "model=*s*"])
    def test_of_several_names_them(self, rule: str) -> None:
        with pytest.raises(
            TargetError, match=r"fits 2 disks.*/dev/sda \(Samsung SSD 870 EVO, serial S62ANJ0R.*nvme0n1"
        ):
            choose_disk(rule, [SATA, NVME, SYSTEM])

    def test_of_none_names_what_is_there(self) -> None:
        with pytest.raises(TargetError, match=r"fits no disk.*/dev/sdb \(Cruzer, serial 4C53, usb, 15.5 GB\)"):
            choose_disk("auto", [STICK])

    def test_on_a_machine_without_disks(self) -> None:
        with pytest.raises(TargetError, match="it has: none"):
            choose_disk("auto", [])

    @pytest.mark.parametrize("disks", [[SYSTEM], [SYSTEM, CARD]])
    def test_of_disks_in_use_says_by_whom(self, disks: list[TargetInfo]) -> None:
        with pytest.raises(TargetError, match=r"fits only disks that cannot be written: /dev/vda.*mounted at /"):
            choose_disk("size>=1G", disks)

    def test_a_size_alone_never_means_a_stick(self) -> None:
        with pytest.raises(TargetError, match="fits no disk"):
            choose_disk("size<=64G", [STICK, SATA])

    @pytest.mark.parametrize(
        "rule", ["label=x", "size=5G", "serial>=5", "serial=", "serial=a,", "size>=5 bananas", ",", ""]
    )
    def test_of_what_is_not_a_rule_says_how_to_write_one(self, rule: str) -> None:
        with pytest.raises(TargetError, match="write"):
            choose_disk(rule, [SATA])


class TestResolve:
    def test_a_path_is_that_file(self, tmp_path: Path) -> None:
        file = tmp_path / "disk.img"
        file.write_bytes(bytes(4096))
        assert resolve_target(str(file)) == TargetInfo(path=str(file), kind=TargetKind.FILE, size=4096)

    def test_a_bare_name_is_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "disk.img").write_bytes(bytes(512))
        monkeypatch.chdir(tmp_path)
        assert resolve_target("disk.img").size == 512

    def test_nothing_is_no_rule(self) -> None:
        with pytest.raises(TargetError, match="write serial="):
            resolve_target("")

    @pytest.mark.parametrize("rule", ["no-such-file", "/dev/no-such-disk"])
    def test_a_path_to_nothing_is_refused(self, rule: str) -> None:
        with pytest.raises(TargetError, match="does not exist"):
            resolve_target(rule)

    def test_a_serial_that_no_disk_of_this_machine_has_is_refused(self) -> None:
        with pytest.raises(TargetError, match="serial=no such serial: fits no disk"):
            resolve_target("serial=no such serial")
