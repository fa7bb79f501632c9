"""By which firmware the disk of an image boots, as far as its partition table tells. Pure.

    GPT with an EFI system partition                     UEFI
    GPT with a BIOS boot partition                       BIOS; with both it boots both ways
    GPT with neither, no table at all, no partitions     unknown
    DOS table                                            BIOS; with a partition of type ef both ways

What it cannot see: which boot loaders really lie there. A GPT disk that BIOS boots without a BIOS boot partition
(syslinux) counts as UEFI if it has an EFI system partition, a DOS table whose FAT partition holds a UEFI loader without
the type ef (an installer's stick) as BIOS. Whoever knows better says so at the receiver.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from protocol.manifest import ManifestHeader

EFI_SYSTEM: Final = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
"""GPT type of the partition that UEFI reads boot loaders from (UEFI 2.10, table 5.7)."""

BIOS_BOOT: Final = "21686148-6449-6e6f-744e-656564454649"
"""GPT type of the partition in which GRUB keeps what does not fit into the first sector."""

EFI_SYSTEM_DOS: Final = "ef"
"""The same as EFI_SYSTEM in a DOS table, in hex."""


class Firmware(StrEnum):
    """How something boots: of an image what it needs, of a PC what it has."""

    BIOS = "bios"
    UEFI = "uefi"
    BOTH = "both"
    """an image that either can boot; of a PC: whatever the image needs"""
    UNKNOWN = "unknown"


def image_firmware(header: ManifestHeader) -> Firmware:
    """Which firmware the disk of an image boots by."""
    return table_firmware(header.partition_table, (partition.type for partition in header.partitions))


def table_firmware(table: str, types: Iterable[str]) -> Firmware:
    """As ``image_firmware``, of a table (gpt, dos, none) and the types of its partitions."""
    there = {each.lower() for each in types}
    if table == "gpt":
        ways = {(True, True): Firmware.BOTH, (True, False): Firmware.UEFI, (False, True): Firmware.BIOS}
        return ways.get((EFI_SYSTEM in there, BIOS_BOOT in there), Firmware.UNKNOWN)
    if table == "dos" and there:
        return Firmware.BOTH if EFI_SYSTEM_DOS in there else Firmware.BIOS
    return Firmware.UNKNOWN


def can_boot(image: Firmware, machine: Firmware) -> bool | None:
    """Whether a PC with this firmware boots such an image; None where nobody can tell."""
    if Firmware.BOTH in (image, machine):
        return True
    if Firmware.UNKNOWN in (image, machine):
        return None
    return image is machine
