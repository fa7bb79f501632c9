"""The disk of a reference machine: a small Debian that boots by BIOS, by UEFI and under Secure Boot.

GPT with a BIOS boot partition, an EFI system partition and an ext4 root last, so that it can grow. Boot loaders as
Debian installs them: GRUB for BIOS in front, and shim, GRUB and kernel with Microsoft's and Debian's signatures. The
machine has an identity of its own (name, machine-id, SSH host keys), a swap file full of noise, and a unit that says on
the serial console what the machine is and switches it off; ``tests/lab/reference/`` holds what is laid over Debian.

A build takes most of a minute and is kept, under a name made of everything that it is made from; so a change here or
there makes a new one, and old ones are removed. Debian itself comes from wherever this machine gets it.
"""

import fcntl
import hashlib
import os
import random
import shlex
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.lab.network import LabError, call

DISK_SIZE: Final = 1280 * 1024 * 1024
"""[bytes] Of the reference disk; about 300 MiB of it are in use."""

SWAP_SIZE: Final = 16 * 1024 * 1024
"""[bytes] Of the swap file: enough that a capture which reads it shows in its figures."""

HOSTNAME: Final = "reference"

RELEASE: Final = "bookworm"

_OVERLAY: Final = Path(__file__).parent / "reference"

_PACKAGES: Final = (
    "dosfstools",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "linux-image-cloud-amd64",
    "openssh-server",
    "systemd-sysv",
    "udev",
    "util-linux",
    "zstd",
)

_MODULES: Final = "/lib/modules/*/kernel"

_FILES: Final = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/lib/x86_64-linux-gnu/gconv/*",
    "path-exclude=/lib/udev/hwdb.d/*",
    f"path-exclude={_MODULES}/fs/*",
    f"path-exclude={_MODULES}/net/*",
    *(f"path-exclude={_MODULES}/drivers/{name}/*" for name in ("comedi", "hid", "infiniband", "md", "target")),
    f"path-include={_MODULES}/fs/efivarfs/*",
    f"path-include={_MODULES}/fs/fat/*",
    f"path-include={_MODULES}/fs/nls/*",
    f"path-include={_MODULES}/net/core/*",
    f"path-include={_MODULES}/net/packet/*",
)
"""In dpkg's words. What is not there need not be packed, sent, or checked on an interpreted processor."""

_PARTITIONS: Final = """
label: gpt
start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios
size=69632, type=uefi, name=esp
type=linux, name=root
"""
"""In sfdisk's words. The ESP has the least size (in sectors of 512 bytes) that mkfs.vfat makes a FAT32 of."""

_EFI_FILES: Final = {
    "EFI/debian/shimx64.efi": "/usr/lib/shim/shimx64.efi.signed",
    "EFI/debian/grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "EFI/debian/mmx64.efi": "/usr/lib/shim/mmx64.efi.signed",
    "EFI/BOOT/BOOTX64.EFI": "/usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
"""Debian's own path, and the one that firmware without a boot entry tries."""

_GRUB_CONFIGURATION: Final = """
serial --unit=0 --speed=115200
terminal_output serial console
set timeout=0
search --no-floppy --fs-uuid --set=root {root}
linux /vmlinuz root=UUID={root} ro quiet console=tty0 console=ttyS0,115200 systemd.show_status=false
initrd /initrd.img
boot
"""

_FIRST_STAGE: Final = """
search --no-floppy --fs-uuid --set=root {root}
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""
"""What GRUB reads on the ESP, as Debian's grub-install writes it."""

_FSTAB: Final = """
UUID={root} / ext4 errors=remount-ro 0 1
UUID={esp} /boot/efi vfat umask=0077 0 1
/swapfile none swap sw 0 0
"""

_ENABLED: Final = ("slatecast-facts.service", "ssh.service", "systemd-networkd.service")

_MASKED: Final = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "getty-static.service", "getty@tty1.service", "serial-getty@ttyS0.service"),
    *(f"modprobe@{module}.service" for module in ("configfs", "dm_mod", "drm", "fuse", "loop")),
    *("sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount"),
    "systemd-networkd-wait-online.service",
)
"""What a machine for tests can do without: without acceleration each process at start-up takes 0.1 to 0.2 s."""


def missing_requirement() -> str | None:
    """Why no reference machine can be built here, in words for a skipped test, or None when it can."""
    if os.geteuid() != 0:
        return "needs root to build a Debian"
    needed = {
        "mmdebstrap": "mmdebstrap",
        "grub-install": "grub2-common",
        "mkfs.vfat": "dosfstools",
        "mcopy": "mtools",
        "sfdisk": "fdisk",
    }
    missing = [package for tool, package in needed.items() if shutil.which(tool) is None]
    for package, file in (
        ("grub-pc-bin", "/usr/lib/grub/i386-pc/boot.img"),
        ("grub-efi-amd64-signed", _EFI_FILES["EFI/debian/grubx64.efi"]),
        ("shim-signed", _EFI_FILES["EFI/debian/shimx64.efi"]),
    ):
        if not Path(file).exists():
            missing.append(package)
    return f"needs a package: apt-get install {' '.join(missing)}" if missing else None


def reference_disk(cache: Path | None = None) -> Path:
    """The raw, sparse disk of the reference machine, built if it is not there yet; to be copied, never written to.

    Raises:
        LabError: a step of the build failed; the text has the tool's own words.
    """
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "slatecast-lab"
    folder.mkdir(parents=True, exist_ok=True)
    disk = folder / f"reference-{_recipe_digest()}.img"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests at once: one builds, the other waits for it
        if not disk.exists():
            for old in folder.glob("reference-*.img"):
                old.unlink()
            with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as building:
                _build(Path(building)).rename(disk)
    return disk


def copy_disk(disk: Path, copy: Path, size: int | None = None) -> Path:
    """A sparse copy to boot from, on a disk of ``size`` bytes (default: the same); returns ``copy``."""
    call(["cp", "--sparse=always", "--reflink=auto", str(disk), str(copy)])
    if size is not None:
        with copy.open("r+b") as file:
            file.truncate(size)
    return copy


def changed_disk(disk: Path, copy: Path, files: Mapping[str, bytes], size: int | None = None) -> Path:
    """As ``copy_disk``, with more files in the root file system, by their paths in it."""
    copy_disk(disk, copy)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        root = cleanup.enter_context(_mounted(f"{cleanup.enter_context(_partitioned(copy))}p3", Path(folder)))
        for name, content in files.items():
            (root / name).write_bytes(content)
    if size is not None:
        os.truncate(copy, size)
    return copy


def _recipe_digest() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(path for path in _OVERLAY.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(_OVERLAY)} {path.stat().st_mode:o}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> Path:
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK_SIZE)
    call(["sfdisk", "--quiet", str(disk)], _PARTITIONS)
    identifiers = {"root": str(uuid.uuid4()), "esp": f"{random.getrandbits(32):08X}"}
    with ExitStack() as cleanup:
        device = cleanup.enter_context(_partitioned(disk))
        call(["mkfs.vfat", "-F", "32", "-n", "ESP", "-i", identifiers["esp"], f"{device}p2"])
        call(["mkfs.ext4", "-q", "-L", "root", "-U", identifiers["root"], f"{device}p3"])
        root = cleanup.enter_context(_mounted(f"{device}p3", folder / "root"))
        _install_debian(root)
        _give_identity(root, identifiers)
        _install_boot_loaders(device, root, identifiers["root"])
        _fill_swap_file(root / "swapfile")
        call(["fstrim", str(root)])
    return disk


def _install_debian(root: Path) -> None:
    call(
        [
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=essential", f"--include={','.join(_PACKAGES)}"),
            *(f"--dpkgopt={files}" for files in _FILES),
            '--aptopt=Acquire::Languages "none"',
            f'--essential-hook=cp -rT --preserve=mode {shlex.quote(str(_OVERLAY))} "$1"',
            *(RELEASE, str(root), *_sources()),
        ]
    )


def _give_identity(root: Path, identifiers: dict[str, str]) -> None:
    (root / "boot/efi").mkdir()
    esp = identifiers["esp"]
    for name, content in {
        "fstab": _FSTAB.format(root=identifiers["root"], esp=f"{esp[:4]}-{esp[4:]}"),
        "hostname": f"{HOSTNAME}\n",
        "hosts": f"127.0.0.1 localhost {HOSTNAME}\n",
        "machine-id": f"{uuid.uuid4().hex}\n",
        "resolv.conf": "",
    }.items():
        (root / "etc" / name).write_text(content, encoding="utf-8")
    for word, units in (("enable", _ENABLED), ("mask", _MASKED)):
        call(["chroot", str(root), "systemctl", "--quiet", word, *units])


def _sources() -> list[str]:
    """The files in which this machine says where it gets Debian from, or nothing: mmdebstrap knows a place itself."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("debian*"))]
    return [str(path) for path in places if path.is_file() and f"{RELEASE} " in path.read_text(encoding="utf-8") + " "]


def _install_boot_loaders(device: str, root: Path, root_uuid: str) -> None:
    call(["grub-install", "--target=i386-pc", f"--boot-directory={root / 'boot'}", device])
    (root / "boot/grub/grub.cfg").write_text(_GRUB_CONFIGURATION.format(root=root_uuid), encoding="utf-8")
    esp = root.parent / "esp"
    for name, source in _EFI_FILES.items():
        (esp / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, esp / name)
    (esp / "EFI/debian/grub.cfg").write_text(_FIRST_STAGE.format(root=root_uuid), encoding="utf-8")
    call(["mcopy", "-s", "-i", f"{device}p2", str(esp / "EFI"), "::"])  # not every kernel can mount a FAT


def _fill_swap_file(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(random.Random(1).randbytes(SWAP_SIZE))
    call(["mkswap", str(path)])


@contextmanager
def _partitioned(disk: Path) -> Iterator[str]:
    """A loop device over ``disk`` with a device for each of its partitions."""
    device = call(["losetup", "--find", "--show", str(disk)]).strip()
    try:
        call(["partx", "--update", device])  # whoever had the device before may have left partitions
        yield device
    finally:
        with suppress(LabError):
            call(["partx", "--delete", device])
        call(["losetup", "--detach", device])


@contextmanager
def _mounted(device: str, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    call(["mount", device, str(folder)])
    try:
        yield folder
    finally:
        call(["umount", str(folder)])
