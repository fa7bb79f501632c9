"""By which firmware this PC was started, and whether an image boots by it; only looks.

A file as the target is not judged: what boots from it is somebody else. Nor is the target of a PC whose operator said
``any``: it may be meant for another one.
"""

import platform
from pathlib import Path
from typing import Final

from protocol.errors import TargetError
from protocol.firmware import Firmware, can_boot
from receiver.target import TargetInfo, TargetKind

_SYSFS: Final = Path("/sys/firmware")
_PCS: Final = ("x86_64", "i686", "i586", "i486", "i386")
"""Machines that have a BIOS where they have no UEFI."""

_NAMES: Final = {Firmware.BIOS: "BIOS", Firmware.UEFI: "UEFI"}


def firmware_of_this_pc(sysfs: Path = _SYSFS, machine: str = "") -> Firmware:
    """By which firmware the running system was started; UNKNOWN where the kernel does not say.

    Args:
        sysfs: where the kernel describes the firmware.
        machine: as uname names it; empty for this one.
    """
    if (sysfs / "efi").is_dir():
        return Firmware.UEFI
    if sysfs.is_dir() and (machine or platform.machine()) in _PCS:
        return Firmware.BIOS
    return Firmware.UNKNOWN


def check_firmware(target: TargetInfo, image: Firmware, machine: Firmware) -> str:
    """Refuse an image that this PC would not boot; what nobody can tell is let through.

    Returns:
        What to warn of, in words; empty for nothing.

    Raises:
        TargetError: the image boots by another firmware than this PC.
    """
    boots = True if target.kind is TargetKind.FILE else can_boot(image, machine)
    if boots is None:
        whose = "by which firmware the image boots" if image is Firmware.UNKNOWN else "which firmware this PC has"
        return f"{target.path}: nobody can tell {whose}, so it may not boot from this disk"
    if not boots:
        raise TargetError(
            target.path,
            f"the image boots by {_NAMES[image]} only, and this PC was started by {_NAMES[machine]}: switch its "
            f"firmware to {_NAMES[image]}, choose another image, or say --firmware any if the disk is for another PC",
        )
    return ""
