from pathlib import Path

import pytest

from protocol.disk.clean_checks import why_not_clean
from protocol.disk.system_tools import loop_device
from tests.broadcaster.library.disks import run
from tests.lab.windows_like_disk import (
    MIB,
    UNATTENDED_PASSWORD,
    WIFI_KEY,
    Hibernation,
    missing_requirement,
    windows_like_disk,
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]


@pytest.mark.parametrize("hibernation", Hibernation)
def test_its_file_systems_are_as_windows_leaves_them(tmp_path: Path, hibernation: Hibernation) -> None:
    disk = windows_like_disk(tmp_path / "windows.img", hibernation, size=300 * MIB)
    types = run("sfdisk", "--dump", str(disk)).splitlines()
    starts = [int(line.split("start=")[1].split(",")[0]) * 512 for line in types if "start=" in line]
    assert len(starts) == 4
    with loop_device(disk, starts[2], starts[3] - starts[2]) as windows:
        is_clean = why_not_clean("ntfs", windows) is None
        assert is_clean == (hibernation is not Hibernation.HIBERNATED)
        unattend = run("ntfscat", "--force", str(windows), "Windows/Panther/unattend.xml")
        assert UNATTENDED_PASSWORD in unattend
    with loop_device(disk, starts[3], 40 * MIB) as recovery:
        assert why_not_clean("ntfs", recovery) is None
    assert "BOOTMGFW" in run("mdir", "-b", "-i", f"{disk}@@{starts[0]}", "::EFI/Microsoft/Boot").upper()
    assert WIFI_KEY.encode() in disk.read_bytes()
    assert disk.stat().st_blocks * 512 < 80 * MIB
