import pytest

from protocol.firmware import BIOS_BOOT, EFI_SYSTEM, Firmware, can_boot, table_firmware

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"


@pytest.mark.parametrize(
    ("table", "types", "firmware"),
    [
        ("gpt", [EFI_SYSTEM, LINUX], Firmware.UEFI),
        ("gpt", [EFI_SYSTEM.upper(), LINUX], Firmware.UEFI),
        ("gpt", [BIOS_BOOT.upper(), LINUX], Firmware.BIOS),
        ("gpt", [BIOS_BOOT, EFI_SYSTEM, LINUX], Firmware.BOTH),
        ("gpt", [LINUX], Firmware.UNKNOWN),
        ("gpt", [], Firmware.UNKNOWN),
        ("dos", ["83", "82"], Firmware.BIOS),
        ("dos", ["ef", "83"], Firmware.BOTH),
        ("dos", [], Firmware.UNKNOWN),
        ("none", [""], Firmware.UNKNOWN),
    ],
)
def test_the_partition_table_tells(table: str, types: list[str], firmware: Firmware) -> None:
    assert table_firmware(table, types) is firmware


@pytest.mark.parametrize("image", Firmware)
@pytest.mark.parametrize("machine", Firmware)
def test_what_boots_where(image: Firmware, machine: Firmware) -> None:
    known = {Firmware.BIOS, Firmware.UEFI}
    if Firmware.BOTH in {image, machine}:
        assert can_boot(image, machine) is True
    elif {image, machine} <= known:
        assert can_boot(image, machine) is (image is machine)
    else:
        assert can_boot(image, machine) is None
