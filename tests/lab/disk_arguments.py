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
    BAY = "scsi-hd"
    """SCSI, in a bay of the case: can be pulled and put in while the machine runs"""


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


BAY_ARGUMENTS: Final = ("-device", "virtio-scsi-pci,id=bay")
"""What disks of ``Bus.BAY`` are put into; a machine needs it once."""


def disk_arguments(disk: Disk, number: int, boot_index: int) -> list[str]:
    """The arguments for disk ``number`` of a machine."""
    argv = []
    if disk.write_rate is not None:
        argv += ["-object", json.dumps(disk_limit(disk, number))]
    for node in disk_nodes(disk, number):
        argv += ["-blockdev", json.dumps(node)]
    if disk.bus is Bus.USB:
        argv += ["-device", f"qemu-xhci,id=usb{number}"]
    device = disk_device(disk, number) | {"bootindex": boot_index}
    return [*argv, "-device", json.dumps(device)]


def disk_nodes(disk: Disk, number: int) -> list[Node]:
    """The nodes between the disk and its medium, from below, as QMP's ``blockdev-add`` takes them."""
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
    return [*nodes, top | {"read-only": disk.is_read_only, "discard": "unmap", "detect-zeroes": "unmap"}]


def disk_limit(disk: Disk, number: int) -> dict[str, Any]:
    """What keeps it to its ``write_rate``, as QMP's ``object-add`` takes it."""
    limits = {"bps-write": disk.write_rate, "bps-write-max": disk.write_rate}
    return {"qom-type": "throttle-group", "id": f"disk{number}-limit", "limits": limits}


def disk_device(disk: Disk, number: int) -> dict[str, Any]:
    """What the machine sees, as QMP's ``device_add`` takes it."""
    device: dict[str, Any] = {"driver": disk.bus.value, "id": f"slot{number}", "drive": f"disk{number}"}
    device |= {"logical_block_size": disk.sector_size, "physical_block_size": disk.sector_size}
    serial = disk.serial or (f"disk{number}" if disk.bus is Bus.NVME else "")
    if serial:
        device["serial"] = serial
    if disk.bus is Bus.USB:
        device |= {"bus": f"usb{number}.0", "removable": True}
    if disk.bus is Bus.BAY:
        device["bus"] = "bay.0"
    return device


def _own_name(key: str, value: Any, number: int) -> Any:
    return f"disk{number}-{value}" if key in _NODE_NAMES and isinstance(value, str) else value
