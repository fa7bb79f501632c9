"""What a target is, and whether this image may overwrite it; answered before the first write, and without writing.

``lsblk`` says what a disk is, what lies on it and who uses it, so nothing here parses tables. Refused is what is no
whole disk or regular file, what anybody uses, what this system was booted from, what is labelled to be kept, what is
read-only, too small, or of another sector size. Looking never changes the disk; ``DiskDevice.open`` closes the gap
between looking and writing.
"""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec
from rich.filesize import decimal

from protocol.disk_fit import FitVerdict, judge, least_size
from protocol.errors import TargetError
from protocol.manifest import ManifestHeader
from protocol.messages import ImageSummary
from protocol.ticket import DiskPolicy
from receiver.boot_medium import boot_names
from receiver.keep_label import keep_label

_LSBLK_COLUMNS: Final = (
    "NAME,KNAME,PATH,TYPE,SIZE,LOG-SEC,RO,RM,MODEL,SERIAL,WWN,TRAN,MOUNTPOINT,LABEL,UUID,PARTLABEL,PARTUUID"
)
"""All known to util-linux 2.33 (2018) and later; without NAME it gives no tree, and partitions look like disks."""

_LSBLK_TIMEOUT: Final = 30
"""[s] Chosen: longer than a disk needs to spin up; a dying disk may hang for ever."""

ImageGeometry = ManifestHeader | ImageSummary
"""Both tell sizes and sector size of the image's disk: the announcement long before the manifest."""

_REMOVABLE_BUSES: Final = ("usb", "ieee1394")
"""A USB disk does not call itself removable, yet it is rarely the PC's own."""


class TargetKind(Enum):
    """What bytes go to."""

    DISK = "disk"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """One possible target, as it is now."""

    path: str
    """as given, or as lsblk names it"""
    kind: TargetKind
    size: int
    """bytes"""
    logical_sector_size: int | None = None
    """bytes; None for a file: it fits any image"""
    model: str = ""
    serial: str = ""
    wwn: str = ""
    """World Wide Name, as udev writes it: 0x... or eui...."""
    bus: str = ""
    """sata, nvme, usb, virtio...; empty if unknown"""
    removable: bool = False
    read_only: bool = False
    use: str = ""
    """who uses it, in words that follow "is "; empty if nobody"""
    keep_label: str = ""
    """by which its owner wants it kept; empty if there is none"""

    def __str__(self) -> str:
        """What an operator recognises the disk by."""
        serial = f"serial {self.serial}" if self.serial else ""
        names = [self.model, serial, self.bus, decimal(self.size), self.use, self.why_kept]
        return f"{self.path} ({', '.join(name for name in names if name)})"

    @property
    def why_kept(self) -> str:
        """Why its owner wants it kept, in words that follow "is "."""
        return f"labelled {self.keep_label!r}" if self.keep_label else ""


class _Lsblk(msgspec.Struct):
    """One line of lsblk; fields that do not apply are null."""

    kname: str
    path: str
    type: str
    size: int | None
    logical_sector_size: int | None = msgspec.field(name="log-sec")
    ro: bool
    rm: bool
    model: str | None
    serial: str | None
    wwn: str | None
    tran: str | None
    mountpoint: str | None
    label: str | None = None
    uuid: str | None = None
    partlabel: str | None = None
    partuuid: str | None = None
    children: "tuple[_Lsblk, ...]" = ()


class _LsblkOutput(msgspec.Struct):
    blockdevices: tuple[_Lsblk, ...]


def inspect_target(path: str | Path) -> TargetInfo:
    """What lies at ``path``: a whole disk or a regular file.

    Raises:
        TargetError: nothing there, or something that cannot be a target: a directory, a pipe, a partition.
    """
    name = os.fspath(path)
    try:
        status = Path(name).stat()
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be looked at: {error}"
        raise TargetError(name, reason) from error
    if stat.S_ISBLK(status.st_mode):
        return _inspect_disk(name)
    if stat.S_ISREG(status.st_mode):
        return _inspect_file(name, status.st_size)
    what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a disk and not a regular file"
    raise TargetError(name, f"is {what}; name a whole disk such as /dev/sda")


def list_disks() -> list[TargetInfo]:
    """All whole disks of this machine that have a medium; empty ones, loop devices and RAM disks are left out.

    Raises:
        TargetError: lsblk cannot be asked.
    """
    return [
        _describe_disk(disk.path, disk)
        for disk in _ask_lsblk()
        if disk.type == "disk" and disk.size and not disk.kname.startswith(("zram", "ram"))
    ]


def check_target(info: TargetInfo, image: ImageGeometry) -> None:
    """Refuse a target that must not or cannot take this image.

    Raises:
        TargetError: in use, to be kept, read-only, too small, or of another logical sector size.
    """
    if info.use:
        raise TargetError(info.path, f"is {info.use}; free it or choose another disk")
    if info.keep_label:
        raise TargetError(info.path, f"is {info.why_kept}; rename that partition or choose another disk")
    if info.read_only:
        raise TargetError(info.path, "is read-only")
    check_geometry(info.path, info.size, info.logical_sector_size, image)


def check_policy(info: TargetInfo, policy: DiskPolicy) -> None:
    """Refuse a target that the director does not want to be written.

    Raises:
        TargetError: smaller than its ticket demands, or of another logical sector size.
    """
    if info.size < policy.min_size:
        raise TargetError(info.path, f"has {info.size:,} bytes, the order to write demands {policy.min_size:,}")
    if policy.logical_sector_size and info.logical_sector_size not in (None, policy.logical_sector_size):
        raise TargetError(
            info.path,
            f"has sectors of {info.logical_sector_size} bytes, the order to write demands {policy.logical_sector_size}",
        )


def check_geometry(name: str, size: int, logical_sector_size: int | None, image: ImageGeometry) -> None:
    """Refuse a target on which the image does not fit; all in bytes.

    Raises:
        TargetError: too small, or of another logical sector size.
    """
    if size < image.disk_size:
        raise TargetError(
            name,
            f"is too small: it has {decimal(size)} ({size:,} bytes), "
            f"the image needs {decimal(image.disk_size)} ({image.disk_size:,} bytes){_way_out(size, image)}",
        )
    if logical_sector_size not in (None, image.logical_sector_size):
        raise TargetError(
            name,
            f"has sectors of {logical_sector_size} bytes, the image was taken from a disk with "
            f"{image.logical_sector_size}; it would not boot",
        )


def _way_out(size: int, image: ImageGeometry) -> str:
    """What to do about a disk that is too small, in words that go on; empty where only a larger disk helps."""
    least = image.least_size if isinstance(image, ImageSummary) else least_size(image)
    if judge(image.disk_size, least, size).verdict is not FitVerdict.FITS_AFTER_SHRINK:
        return ""
    return f"; its files could fit: on the broadcaster, 'slatecast image shrink {image.name} --to {size}'"


def _inspect_disk(name: str) -> TargetInfo:
    disks = _ask_lsblk(name)
    if not disks:
        raise TargetError(name, "is not known to lsblk")
    if disks[0].type == "part":
        raise TargetError(name, "is a partition, and an image is a whole disk; name the disk that it lies on")
    info = _describe_disk(name, disks[0])
    return info if info.use or not _is_claimed(name) else replace(info, use="in use by another program")


def _inspect_file(name: str, size: int) -> TargetInfo:
    loop_device = _loop_device_of(name)
    return TargetInfo(
        path=name,
        kind=TargetKind.FILE,
        size=size,
        read_only=not os.access(name, os.W_OK),
        use=f"the file behind {loop_device}" if loop_device else "",
        keep_label=keep_label(name),
    )


def _describe_disk(path: str, disk: "_Lsblk") -> TargetInfo:
    return TargetInfo(
        path=path,
        kind=TargetKind.DISK,
        size=disk.size or 0,
        logical_sector_size=disk.logical_sector_size,
        model=(disk.model or "").strip(),
        serial=(disk.serial or _sysfs_value(disk, "serial", "device/serial")).strip(),
        wwn=(disk.wwn or _sysfs_value(disk, "wwid", "device/wwid")).strip(),
        bus=disk.tran or "",
        removable=disk.rm or disk.tran in _REMOVABLE_BUSES,
        read_only=disk.ro,
        use=next(_uses(disk), "") or _boot_use(disk),
        keep_label=keep_label(path),
    )


def _uses(disk: "_Lsblk") -> Iterator[str]:
    """Everybody who uses the disk or something on it."""
    if disk.mountpoint:
        verb = "used as swap" if disk.mountpoint == "[SWAP]" else f"mounted at {disk.mountpoint}"
        yield f"{verb} ({disk.path})"
    for child in disk.children:
        if child.type != "part":
            yield f"used by {child.path} ({child.type})"
        yield from _uses(child)


def _boot_use(disk: "_Lsblk") -> str:
    """What this system has to do with the disk although nothing of it is mounted."""
    booted_from = boot_names()
    for part in _all_of(disk):
        names = (part.path, part.uuid, part.label, part.partuuid, part.partlabel)
        if booted_from.intersection(name.lower() for name in names if name):
            return f"what this system was booted from ({part.path})"
    return ""


def _all_of(disk: "_Lsblk") -> Iterator["_Lsblk"]:
    yield disk
    for child in disk.children:
        yield from _all_of(child)


def _ask_lsblk(*paths: str) -> tuple["_Lsblk", ...]:
    command = ["lsblk", "--json", "--bytes", "--output", _LSBLK_COLUMNS, "--", *paths]
    what = " ".join(paths) or "the disks"
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=_LSBLK_TIMEOUT).stdout
        return msgspec.json.decode(answer, type=_LsblkOutput, strict=False).blockdevices
    except FileNotFoundError as error:
        raise TargetError(what, "cannot be looked at without lsblk; install util-linux") from error
    except subprocess.CalledProcessError as error:
        raise TargetError(what, f"cannot be looked at: {error.stderr.decode(errors='replace').strip()}") from error
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise TargetError(what, f"cannot be looked at by lsblk: {error}") from error


def _sysfs_value(disk: "_Lsblk", *attributes: str) -> str:
    """What the kernel says; lsblk knows serial and WWN from udev alone, which a boot environment may not have."""
    for attribute in attributes:
        with suppress(OSError):
            return (Path("/sys/class/block") / disk.kname / attribute).read_text(errors="replace")
    return ""


def _is_claimed(name: str) -> bool:
    """Whether O_EXCL is refused: a mount in another namespace, or another receiver."""
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _loop_device_of(name: str) -> str:
    """The loop device that a file lies behind; empty if none."""
    for attribute in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # detached meanwhile, or a file that only another mount namespace sees
            if Path(attribute.read_text().rstrip("\n")).samefile(name):
                return f"/dev/{attribute.parts[3]}"
    return ""
