"""A disk as Windows lays it out, made without Windows: EFI, MSR, NTFS and recovery, with real files where they matter.

It does not boot, and holds nothing of Microsoft's: files have the names, places and headers that our own programs look
at. Partitions follow Microsoft's "UEFI/GPT-based hard drive partitions"; NTFS comes from mkntfs and is filled through
ntfs-3g, in a mount namespace of its own. What only a real Windows does to a disk is not here: compressed files, a
journal in use, BitLocker, a registry.
"""

import os
import random
import shutil
import tempfile
from enum import Enum
from pathlib import Path
from typing import Final

from tests.lab.network import call

MIB: Final = 1024 * 1024

SIZE: Final = 256 * MIB
"""[bytes] Of the disk."""

UNATTENDED_PASSWORD: Final = "correct-horse-battery"
"""In ``Windows/Panther/unattend.xml``, where Windows' own set-up leaves it."""

WIFI_KEY: Final = "staple-of-the-lab"
"""In a profile of the wireless service."""

PAGEFILE_SIZE: Final = 24 * MIB
"""[bytes] Of noise, which a capture leaves out."""

_EFI_START, _EFI_SIZE = 1, 34
_WINDOWS_START, _WINDOWS_SIZE = 51, 164
_RECOVERY_START, _RECOVERY_SIZE = 215, 40
"""[MiB] The EFI partition has the least size of a FAT32; Windows' own are larger. The MSR lies at 35."""

_PARTITIONS: Final = f"""
label: gpt
start={_EFI_START}MiB, size={_EFI_SIZE}MiB, type=uefi, name="EFI system partition"
start=35MiB, size=16MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, name="Microsoft reserved partition", attrs="GUID:63"
start={_WINDOWS_START}MiB, size={_WINDOWS_SIZE}MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, \
name="Basic data partition"
start={_RECOVERY_START}MiB, size={_RECOVERY_SIZE}MiB, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, \
name="Recovery", attrs="RequiredPartition GUID:63"
"""

_UNATTEND: Final = f"""<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="specialize">
    <component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64">
      <ComputerName>REFERENCE</ComputerName>
    </component>
  </settings>
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64">
      <UserAccounts>
        <AdministratorPassword><Value>{UNATTENDED_PASSWORD}</Value><PlainText>true</PlainText></AdministratorPassword>
      </UserAccounts>
    </component>
  </settings>
</unattend>
"""

_WIFI_PROFILE: Final = f"""<?xml version="1.0"?>
<WLANProfile xmlns="http://www.microsoft.com/networking/WLAN/profile/v1">
  <name>school</name>
  <MSM><security><sharedKey><keyType>passPhrase</keyType><protected>false</protected>
    <keyMaterial>{WIFI_KEY}</keyMaterial></sharedKey></security></MSM>
</WLANProfile>
"""

_PROFILE_FOLDER: Final = "ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/{6D8B3E0C-52A0-4B76-9D9A-3A6F3C0E4F11}"


_FILL: Final = """
ntfs-3g -o no_detach "$1" "$3" &
until mountpoint -q "$3"; do
    kill -0 $!
    sleep 0.02
done
cp -rT "$2" "$3"
umount "$3"
wait
"""
"""The mount goes with its namespace whatever happens; the program behind it has written its last when it has ended."""


class Hibernation(Enum):
    """What ``hiberfil.sys`` says; the value is the beginning of the file."""

    ABSENT = None
    """hibernation was switched off: there is no such file"""
    RESUMED = bytes(4)
    """Windows has started since, and has wiped the header"""
    HIBERNATED = b"HIBR"
    """hibernated, or shut down with Fast Startup: the file system must not be believed"""


def missing_requirement() -> str | None:
    """Why no such disk can be made here, in words for a skipped test, or None when it can."""
    if os.geteuid() != 0:
        return "needs root to fill an NTFS"
    needed = {"sfdisk": "fdisk", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "mkntfs": "ntfs-3g"}
    missing = [package for tool, package in needed.items() if shutil.which(tool) is None]
    return f"needs a package: apt-get install {' '.join(missing)}" if missing else None


def windows_like_disk(path: Path, hibernation: Hibernation = Hibernation.ABSENT, *, size: int = SIZE) -> Path:
    """Make such a disk at ``path``, sparse, and return it; takes about a second.

    Args:
        path: of the raw file.
        hibernation: how Windows was last left.
        size: of the disk, in bytes; what is beyond ``SIZE`` stays free behind the recovery partition.

    Raises:
        LabError: a tool refused; the text has its words.
    """
    with path.open("wb") as file:
        file.truncate(size)
    call(["sfdisk", "--quiet", str(path)], _PARTITIONS)
    with tempfile.TemporaryDirectory(prefix="windows-", dir=path.parent) as scratch:
        folder = Path(scratch)
        _put(path, _EFI_START, _fat(folder))
        windows = _ntfs(folder / "windows.ntfs", _WINDOWS_START, _WINDOWS_SIZE, "Windows", _windows(hibernation))
        _put(path, _WINDOWS_START, windows)
        recovery = {"Recovery/WindowsRE/winre.wim": _noise(4 * MIB), "Recovery/WindowsRE/ReAgent.xml": b"<WindowsRE/>"}
        _put(path, _RECOVERY_START, _ntfs(folder / "re.ntfs", _RECOVERY_START, _RECOVERY_SIZE, "Recovery", recovery))
    return path


def _windows(hibernation: Hibernation) -> dict[str, bytes]:
    files = {
        "Windows/Panther/unattend.xml": _UNATTEND.encode(),
        "Windows/System32/config/SYSTEM": b"regf" + _noise(256 * 1024),  # the name alone is looked at
        "Windows/System32/ntoskrnl.exe": b"MZ" + _noise(6 * MIB),
        "Windows/explorer.exe": b"MZ" + _noise(2 * MIB),
        f"{_PROFILE_FOLDER}/{{A1B2C3D4-0000-4000-8000-000000000001}}.xml": _WIFI_PROFILE.encode(),
        "Users/Public/Documents/timetable.txt": b"Monday: chemistry\r\n" * 50_000,
        "pagefile.sys": _noise(PAGEFILE_SIZE),
        "swapfile.sys": _noise(4 * MIB),
    }
    if hibernation.value is not None:
        files["hiberfil.sys"] = hibernation.value + _noise(8 * MIB)
    return files


def _fat(folder: Path) -> Path:
    efi = folder / "efi.fat"
    with efi.open("wb") as file:
        file.truncate(_EFI_SIZE * MIB)
    call(["mkfs.vfat", "-F", "32", "-n", "SYSTEM", str(efi)])
    _write(
        folder / "efi",
        {
            "EFI/Boot/bootx64.efi": b"MZ" + _noise(MIB),
            "EFI/Microsoft/Boot/bootmgfw.efi": b"MZ" + _noise(MIB),
            "EFI/Microsoft/Boot/BCD": b"regf" + _noise(32 * 1024),
        },
    )
    call(["mcopy", "-s", "-i", str(efi), str(folder / "efi/EFI"), "::"])
    return efi


def _ntfs(path: Path, start: int, size: int, label: str, files: dict[str, bytes]) -> Path:
    """A file system of ``size`` MiB that knows where on the disk it will lie, as its boot sector has to."""
    with path.open("wb") as file:
        file.truncate(size * MIB)
    place = ["-p", str(start * MIB // 512), "-H", "255", "-S", "63"]
    call(["mkntfs", "--quick", "--force", "--quiet", "--label", label, *place, str(path)])
    source, mount_point = path.with_suffix(".files"), path.with_suffix(".mounted")
    _write(source, files)
    mount_point.mkdir()
    call(["unshare", "--mount", "sh", "-euc", _FILL, "sh", str(path), str(source), str(mount_point)])
    return path


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _put(disk: Path, start: int, file_system: Path) -> None:
    where = [f"of={disk}", "bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none"]
    call(["dd", f"if={file_system}", *where])


def _noise(length: int) -> bytes:
    """Incompressible bytes, the same for the same length."""
    return random.Random(length).randbytes(length)
