"""The private folder of one run: what TFTP and HTTP may hand out, and which machines dnsmasq answers.

    tftp/                 loaders, iPXE's entry, the loader of the PCs' own disks
    tftp/grub/            GRUB's configuration, kernel and initrd
    machines              addresses that dnsmasq answers, one a line
    dnsmasq.conf, leases  of dnsmasq

Nothing else can be asked for. Kernel and initrd are links to the same files, or copies where they lie on another disk:
an environment that is built anew meanwhile does not change under a PC that loads it. dnsmasq reads all of this as a
user without rights, so all of it is readable to everybody, and none of it is secret.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broadcaster.environment.description import INITRD, KERNEL, LOADER_FILES
from broadcaster.netboot.decisions import Boots, Decision
from broadcaster.netboot.disk_loader import make_disk_loader
from broadcaster.netboot.scripts import DISK_LOADER, Scripts, grub_own_disk
from protocol.errors import ConfigError
from protocol.link.whole_file import replace_whole

ANSWERED: Final = "answered"
"""dnsmasq's tag of machines that are told what to boot"""

ORDERED: Final = "ordered"
"""dnsmasq's tag of those among them that do not simply boot their own disks"""


class Handouts:
    """One run's folder; it is gone when this is left."""

    def __init__(self, environment: Path, scripts: Scripts, everyone: Decision) -> None:
        self._environment = environment
        self._scripts = scripts
        self._everyone = everyone
        self._published: tuple[dict[str, Decision], Set[str]] | None = None
        self.has_disk_loader = False
        """known when it has been entered"""

    def __enter__(self) -> Self:
        """Make the folder.

        Raises:
            ConfigError: the environment cannot be read, or there is no room for it.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="slatecast-boot-"))
        try:
            self._fill()
        except OSError as error:
            self._remove()
            where = error.filename or self.folder
            raise ConfigError(f"{where}: {error.strerror or error}; the environment cannot be handed out") from None
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @property
    def tftp(self) -> Path:
        """All that TFTP hands out."""
        return self.folder / "tftp"

    @property
    def kernel(self) -> Path:
        """Of the environment."""
        return self.tftp / "grub" / KERNEL

    @property
    def initrd(self) -> Path:
        """Of the environment."""
        return self.tftp / "grub" / INITRD

    @property
    def machines(self) -> Path:
        """What dnsmasq reads again when it is sent SIGHUP."""
        return self.folder / "machines"

    @property
    def disk_loader(self) -> Path:
        """For UEFI; not there without GRUB's tools."""
        return self.tftp / DISK_LOADER

    def publish(self, decisions: Mapping[str, Decision], answered: Set[str] = frozenset()) -> bool:
        """Write who boots something else than its own disk, and who is told that it boots that; whether that changed.

        Raises:
            OSError: a part could not be written; what was said before still holds for its machine.
        """
        wanted = dict(decisions), answered
        if wanted == self._published:
            return False
        replace_whole(self.tftp / "grub/grub.cfg", self._scripts.grub(self._everyone, wanted[0]).encode(), 0o644)
        lines = [f"{address},set:{ANSWERED},set:{ORDERED}\n" for address in decisions]
        lines += [f"{address},set:{ANSWERED}\n" for address in sorted(answered - decisions.keys())]
        replace_whole(self.machines, "".join(lines).encode(), 0o644)
        self._published = wanted
        return True

    def _fill(self) -> None:
        self.folder.chmod(0o755)
        (self.tftp / "grub").mkdir(parents=True)
        for folder in (self.tftp, self.tftp / "grub"):
            folder.chmod(0o755)
        for name in LOADER_FILES:
            _copy(self._environment / name, self.tftp / name)
        for name, target in ((KERNEL, self.kernel), (INITRD, self.initrd)):
            _link(self._environment / name, target)
        replace_whole(self.tftp / "boot.ipxe", self._scripts.ipxe_entry().encode(), 0o644)
        self.has_disk_loader = make_disk_loader(self.disk_loader, grub_own_disk())
        self.publish({})

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def everyones(everyone: bool) -> Decision:
    """What a machine boots that nobody named."""
    return Decision(Boots.ENVIRONMENT if everyone else Boots.OWN_DISK)


def _link(source: Path, target: Path) -> None:
    """The file itself under another name, where everybody may read it; else a copy."""
    if source.stat().st_mode & 0o004:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o644)
