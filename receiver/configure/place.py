"""What every step is given beside its own words: the disk, the seat, the machine, and the files that were fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.configuration import Beacon, ConfiguredFile
from protocol.errors import RefusedError
from receiver.configure.target_disk import TargetDisk

DMI_FOLDER: Final = Path("/sys/class/dmi/id")
EFI_VARIABLES: Final = Path("/sys/firmware/efi/efivars")

_MAX_DMI_TEXT: Final = 256


@dataclass(frozen=True)
class Machine:
    """The PC, as its firmware describes it."""

    vendor: str = ""
    """sys_vendor"""
    product: str = ""
    """product_name"""
    has_efi: bool = False
    """whether it was started by EFI, and its variables are there"""

    @classmethod
    def here(cls, dmi: Path = DMI_FOLDER, efi: Path = EFI_VARIABLES) -> "Machine":
        """This one."""
        return cls(_said(dmi / "sys_vendor"), _said(dmi / "product_name"), efi.is_dir() and any(efi.iterdir()))

    def __str__(self) -> str:
        """For people."""
        return f"{self.vendor} {self.product}".strip() or "unknown"


@dataclass(frozen=True)
class Place:
    """Where a step is carried out."""

    disk: TargetDisk
    seat: str
    machine: Machine
    beacon: Beacon | None
    files: Mapping[str, Path]
    """what was fetched, by digest"""

    def file(self, file: ConfiguredFile) -> Path:
        """Where the contents of a file lie.

        Raises:
            RefusedError: it was not fetched, which a file that is needed always is.
        """
        path = self.files.get(file.digest)
        if path is None:
            raise RefusedError(f"{file.path} was not fetched")
        return path


def _said(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_MAX_DMI_TEXT].strip()
    except OSError:
        return ""
    return "".join(letter for letter in text if letter.isprintable())
