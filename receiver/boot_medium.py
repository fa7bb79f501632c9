"""What this system was booted from, as far as it says so: that disk must not be overwritten, mounted or not.

A mounted disk is refused anyway. A system that runs in memory has let go of its medium, and only the loader and the
kernel's command line still name it. Booted by network they name none.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

_COMMAND_LINE: Final = Path("/proc/cmdline")

_LOADER_PARTITION: Final = Path("/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
"""Where systemd-boot and unified kernel images leave the partition that they came from (systemd Boot Loader Interface):
four bytes of attributes, then UTF-16 that ends in NUL."""

_ARGUMENTS: Final = re.compile(r'(?:^|\s)(?:root|live-media|archisodevice|img_dev)="?(?:live:)?([^\s,\"]+)')
"""Arguments of the kernel's command line that name where a system lies: of Linux, live-boot, dracut and archiso."""

_TAGS: Final = re.compile(
    r"^(?:/dev/disk/by-(?:partuuid|uuid|label|partlabel)/|(?:PART)?(?:UUID|LABEL)=)", re.IGNORECASE
)


def boot_names() -> frozenset[str]:
    """Names of the partition or disk that this system was booted from: device paths, UUIDs and labels in lower case."""
    return names_in(_text(_COMMAND_LINE), _raw(_LOADER_PARTITION))


def names_in(command_line: str, loader_partition: bytes = b"") -> frozenset[str]:
    """The same from what the kernel was told, and from the value that the loader left."""
    names = [_TAGS.sub("", value).split("/PARTNROFF=")[0] for value in _ARGUMENTS.findall(command_line)]
    names.append(loader_partition[4:].decode("utf-16-le", errors="replace"))
    return frozenset(name for each in names if (name := each.strip("\0 ").lower()))


def _text(path: Path) -> str:
    return _raw(path).decode(errors="replace")


def _raw(path: Path) -> bytes:
    with suppress(OSError):  # no UEFI, another loader, or no /proc
        return path.read_bytes()
    return b""
