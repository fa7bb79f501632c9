from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import TargetError
from protocol.firmware import Firmware
from receiver.firmware import check_firmware, firmware_of_this_pc
from receiver.target import TargetInfo, TargetKind

DISK = TargetInfo(path="/dev/sda", kind=TargetKind.DISK, size=1 << 30, logical_sector_size=512)


def test_the_kernel_says_how_it_was_started(tmp_path: Path) -> None:
    assert firmware_of_this_pc(tmp_path / "nothing", "x86_64") is Firmware.UNKNOWN
    assert firmware_of_this_pc(tmp_path, "x86_64") is Firmware.BIOS
    assert firmware_of_this_pc(tmp_path, "aarch64") is Firmware.UNKNOWN
    (tmp_path / "efi").mkdir()
    assert firmware_of_this_pc(tmp_path, "x86_64") is Firmware.UEFI
    assert firmware_of_this_pc(tmp_path, "aarch64") is Firmware.UEFI


@pytest.mark.parametrize(
    ("image", "machine", "words"),
    [
        (Firmware.UEFI, Firmware.BIOS, "boots by UEFI only, and this PC was started by BIOS: switch .* to UEFI"),
        (Firmware.BIOS, Firmware.UEFI, "boots by BIOS only, and this PC was started by UEFI: switch .* to BIOS"),
    ],
)
def test_an_image_of_the_other_firmware_is_refused_in_one_line(image: Firmware, machine: Firmware, words: str) -> None:
    with pytest.raises(TargetError, match=words) as caught:
        check_firmware(DISK, image, machine)
    assert "\n" not in str(caught.value)
    assert check_firmware(replace(DISK, kind=TargetKind.FILE), image, machine) == ""


@pytest.mark.parametrize(
    ("image", "machine"),
    [
        (Firmware.UEFI, Firmware.UEFI),
        (Firmware.BIOS, Firmware.BIOS),
        (Firmware.BOTH, Firmware.BIOS),
        (Firmware.UEFI, Firmware.BOTH),
        (Firmware.UNKNOWN, Firmware.BOTH),
    ],
)
def test_what_boots_is_let_through(image: Firmware, machine: Firmware) -> None:
    assert check_firmware(DISK, image, machine) == ""


def test_what_nobody_can_tell_is_let_through_with_a_warning() -> None:
    assert "firmware the image boots" in check_firmware(DISK, Firmware.UNKNOWN, Firmware.UEFI)
    assert "firmware this PC has" in check_firmware(DISK, Firmware.UEFI, Firmware.UNKNOWN)
