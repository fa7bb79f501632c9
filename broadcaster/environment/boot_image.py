"""An environment as one image for optical media and USB sticks: starts by BIOS, by UEFI, and with Secure Boot on.

Shim, GRUB and kernel are Debian's signed ones out of the environment; only the loader for BIOS, which nothing checks,
comes from this machine's GRUB. Written beside the output and renamed, so that a stick is never made of half an image.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from broadcaster.environment.description import INITRD, KERNEL, read_description
from protocol.disk.system_tools import find_tool, last_line, need_tool, run_tool
from protocol.errors import ConfigError, LibraryError

LABEL: Final = "SLATECAST"
"""of the file system; the loaders find their files by it"""

GRUB_FOLDER: Final = Path("/usr/lib/grub/i386-pc")
BIOS_MODULES: Final = (
    "all_video", "biosdisk", "configfile", "echo", "gfxterm", "halt", "iso9660", "linux", "normal", "part_gpt",
    "part_msdos", "reboot", "search", "search_label", "serial", "sleep", "terminal", "test",
)  # fmt: skip
EFI_IMAGE_SIZE: Final = 8 << 20
"""[bytes] Shim and GRUB have five million."""

VOLUME_SERIAL: Final = "51a7eca5"
"""of the EFI image's file system: always the same, as everything else in the image is"""

TOOLS: Final = {"xorriso": "xorriso", "mformat": "mtools", "mcopy": "mtools", "grub-mkimage": "grub-common"}
"""Debian package of each tool that this needs."""

_ARGUMENT: Final = re.compile(r"[!-~]+\Z")


def write_boot_image(folder: Path, output: Path, arguments: Sequence[str], *, has_serial: bool = False) -> int:
    """Make ``output`` of the environment in ``folder``, whose kernel is given the arguments; its size in bytes.

    With ``has_serial`` loader and kernel use the first serial line beside the screen.

    Raises:
        ConfigError: the folder is no whole environment, or an argument would not reach the kernel as it is.
        LibraryError: a tool is not installed or fails, or the image cannot be written.
    """
    environment = read_description(folder)
    for argument in arguments:
        # What stands in a loader's menu is that loader's language; quotes and signs of it are not for arguments.
        if not _ARGUMENT.match(argument) or set(argument) & set("'\"\\${}();&|<>#"):
            raise ConfigError(f"{argument!r} cannot be an argument of the kernel: leave out spaces, quotes and signs")
    for tool, package in TOOLS.items():
        if find_tool(tool) is None:
            raise LibraryError(f"{tool} is not installed: apt install {package}")
    if not GRUB_FOLDER.is_dir():
        raise LibraryError("GRUB's files for BIOS are not installed: apt install grub-pc-bin")
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.absolute().parent) as name:
            image = _make(Path(name), folder, arguments, environment.built_at, has_serial=has_serial)
            size = image.stat().st_size
            image.chmod(0o644)
            image.replace(output)
    except OSError as error:
        raise LibraryError(f"{error.filename or output}: {error.strerror or error}") from error
    return size


def _make(work: Path, folder: Path, arguments: Sequence[str], epoch: int, *, has_serial: bool) -> Path:
    tree = work / "tree"
    (tree / "boot/grub").mkdir(parents=True)
    for name in (KERNEL, INITRD):
        _link_or_copy(folder / name, tree / "boot" / name)
    menu = tree / "boot/grub/grub.cfg"
    menu.write_text(_menu(arguments, has_serial=has_serial), encoding="utf-8")
    _run("grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot/grub", "-d", str(GRUB_FOLDER),
         "-o", str(tree / "boot/grub/bios.img"), *BIOS_MODULES)  # fmt: skip
    for path in tree.rglob("*"):
        os.utime(path, (epoch, epoch))
    efi = _efi_image(work, folder, menu, epoch)
    image = work / "image.iso"
    _run("xorriso", "-as", "mkisofs", "-quiet", "-o", str(image), "-V", LABEL, "-R", "-J", "-joliet-long",
         f"--modification-date={_iso_time(epoch)}", "--set_all_file_dates", _iso_time(epoch),
         "--grub2-mbr", str(GRUB_FOLDER / "boot_hybrid.img"), "--protective-msdos-label",
         "-b", "boot/grub/bios.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
         "-c", "boot/grub/boot.cat",
         "-append_partition", "2", "0xef", str(efi), "-appended_part_as_gpt",
        "--gpt_disk_guid",
        "modification-date",
         "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
         str(tree))  # fmt: skip
    return image


def _menu(arguments: Sequence[str], *, has_serial: bool) -> str:
    """GRUB's menu, for all firmware."""
    text = files("broadcaster.environment").joinpath("boot_image.cfg").read_text(encoding="utf-8")
    serial = "serial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\n"
    consoles = ["console=tty1", "console=ttyS0,115200"] if has_serial else []
    words = " ".join(["quiet", *consoles, *arguments])
    return (serial if has_serial else "") + text.replace("@LABEL@", LABEL).replace("@ARGUMENTS@", words)


def _efi_image(work: Path, folder: Path, menu: Path, epoch: int) -> Path:
    """A file system for the firmware: shim where firmware looks, GRUB beside it, the menu where that GRUB looks."""
    tree, image = work / "efi", work / "efi.img"
    (tree / "EFI/BOOT").mkdir(parents=True)
    (tree / "grub").mkdir()
    shutil.copyfile(folder / "shimx64.efi", tree / "EFI/BOOT/BOOTX64.EFI")
    shutil.copyfile(folder / "grubx64.efi", tree / "EFI/BOOT/grubx64.efi")
    shutil.copyfile(menu, tree / "grub/grub.cfg")
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (epoch, epoch))
    sectors = str(EFI_IMAGE_SIZE // 512)
    _run("mformat", "-i", str(image), "-C", "-T", sectors, "-h", "2", "-s", "32", "-N", VOLUME_SERIAL, "::")
    _run("mcopy", "-i", str(image), "-s", "-m", str(tree / "EFI"), str(tree / "grub"), "::")
    return image


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def _iso_time(epoch: int) -> str:
    """As xorriso takes it: YYYYMMDDhhmmsscc."""
    return time.strftime("%Y%m%d%H%M%S00", time.gmtime(epoch))


def _run(tool: str, *arguments: str) -> None:
    done = run_tool(need_tool(tool), *arguments)
    if done.returncode != 0:
        raise LibraryError(f"{tool} failed: {last_line(done.stderr or done.stdout)}")
