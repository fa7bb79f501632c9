"""Disks of a virtual machine, as QEMU's arguments: bus, serial number, sector size, and the faults of FAULTS.md.

The medium is a raw file, which a test can read and change. Faults are the nodes of ``tests.faults.storage_daemon``
(``failing``, ``logging``, ``slow``), here in the machine itself.
"""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from tests.faults.storage_daemon import Node

_NODE_NAMES: Final = ("node-name", "image", "file", "throttle-group")
"""Where a node of the graph names itself, its neighbour or its limit; each disk gets names of its own."""


class Bus(Enum):
    """How a disk is attached; the value is QEMU's device."""

    VIRTIO = "virtio-blk-pci"
    NVME = "nvme"
    SATA = "ide-hd"
    USB = "usb-storage"
    """a removable stick"""


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk."""

    path: Path
    """raw file: the medium"""
    bus: Bus = Bus.VIRTIO
    serial: str = ""
    """at most 20 characters; NVMe needs one, and gets one"""
    sector_size: int = 512
    """[bytes] logical and physical"""
    is_read_only: bool = False
    fault: Node | None = None
    """between the disk and its medium"""
    write_rate: int | None = None
    """[bytes per second] of the fault ``slow``"""


def disk_arguments(disk: Disk, number: int, boot_index: int) -> list[str]:
    """The arguments for disk ``number`` of a machine."""
    # Only a fault needs each flush to reach the medium: what QEMU has written outlives its machine.
    medium: Node = {
        "driver": "file",
        "node-name": f"disk{number}-medium",
        "filename": str(disk.path),
        "read-only": disk.is_read_only,
        "discard": "unmap",
        "cache": {"direct": False, "no-flush": disk.fault is None},
    }
    nodes = [medium]
    if disk.fault is not None:
        nodes.append({key: _own_name(key, value, number) for key, value in disk.fault.items()})
    top: Node = {"driver": "raw", "node-name": f"disk{number}", "file": nodes[-1]["node-name"]}
    nodes.append(top | {"read-only": disk.is_read_only, "discard": "unmap", "detect-zeroes": "unmap"})
    argv = []
    if disk.write_rate is not None:
        limit = f"x-bps-write={disk.write_rate},x-bps-write-max={disk.write_rate}"
        argv += ["-object", f"throttle-group,id=disk{number}-limit,{limit}"]
    for node in nodes:
        argv += ["-blockdev", json.dumps(node)]
    if disk.bus is Bus.USB:
        argv += ["-device", f"qemu-xhci,id=usb{number}"]
    return [*argv, "-device", _device(disk, number, boot_index)]


def _device(disk: Disk, number: int, boot_index: int) -> str:
    serial = disk.serial or (f"disk{number}" if disk.bus is Bus.NVME else "")
    sizes = f"logical_block_size={disk.sector_size},physical_block_size={disk.sector_size}"
    device = f"{disk.bus.value},drive=disk{number},bootindex={boot_index},{sizes}"
    device += f",serial={serial}" if serial else ""
    device += f",bus=usb{number}.0,removable=on" if disk.bus is Bus.USB else ""
    return device


def _own_name(key: str, value: Any, number: int) -> Any:
    return f"disk{number}-{value}" if key in _NODE_NAMES and isinstance(value, str) else value
