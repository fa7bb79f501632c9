"""Makes of unpacked packages a system that starts: leaves out what none of its programs opens, adds what scripts make.

What an installation's scripts would do is little here: users, the linker's cache, names of busybox's programs.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from broadcaster.environment.chroot import run_inside
from broadcaster.environment.recipe import CONSOLE_FONTS, LARGE_FONT, LEFT_OUT, LOADERS
from protocol.disk.system_tools import last_line, need_tool, run_tool
from protocol.errors import LibraryError

BUSYBOX: Final = (
    "awk", "clear", "find", "grep", "gunzip", "gzip", "hostname", "ip", "less", "nslookup", "ping", "poweroff", "ps",
    "reboot", "sed", "tar", "udhcpc", "vi", "xargs",
)  # fmt: skip
"""Programs that busybox is known by where Debian's own are not there."""

PLAIN_FILES: Final = {
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    "etc/fstab": "",
    "etc/modprobe.d/slatecast.conf": "options btusb reset=0\n",
}
MOST_LINKS: Final = 4
"""Links in a row that are followed; packages have one."""

TRUST: Final = "etc/slatecast/trust"


def leave_out(root: Path) -> None:
    """Remove what the recipe leaves out."""
    for pattern in LEFT_OUT:
        for path in root.glob(pattern):
            _remove(path)
    for name in ("dev", "proc", "sys", "run", "tmp", "boot", "home", "mnt"):
        _remove(root / name)
        (root / name).mkdir()


def finish(root: Path, downloads: Path, trust: bytes | None) -> None:
    """Add users, our scripts, busybox's names, the large font, the linker's cache, and the trust if there is one.

    Raises:
        LibraryError: a tool is missing, or a program does not run there.
    """
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    for place, text in PLAIN_FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, encoding="utf-8")
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("/run/slatecast/resolv.conf")
    with as_file(files("broadcaster.environment").joinpath("overlay")) as overlay:
        _lay_over(overlay, root)
    for name in BUSYBOX:
        if not any((root / folder / name).exists() for folder in ("usr/bin", "usr/sbin")):
            (root / "usr/bin" / name).symlink_to("busybox")
    take_file(downloads, CONSOLE_FONTS, LARGE_FONT, root / "usr/share/consolefonts/large.psf.gz")
    if trust is not None:
        (root / TRUST).parent.mkdir(parents=True, exist_ok=True)
        (root / TRUST).write_bytes(trust)
    run_inside(root, "ldconfig")
    _remove(root / "var/cache/ldconfig")


def take_loaders(downloads: Path, folder: Path) -> None:
    """Put the first loaders into ``folder``, by the names they are served as."""
    for name, (package, inside) in LOADERS.items():
        take_file(downloads, package, inside, folder / name)


def take_file(downloads: Path, package: str, inside: str, target: Path) -> None:
    """Unpack one file of a package in ``downloads``.

    Raises:
        LibraryError: the package or the file is not there, or it is damaged.
    """
    packed = next(downloads.glob(f"{package}_*.deb"), None)
    if packed is None:
        raise LibraryError(f"{package} was not downloaded")
    target.parent.mkdir(parents=True, exist_ok=True)
    unpacked = downloads / package
    if not unpacked.exists():
        done = run_tool(need_tool("dpkg-deb"), "--extract", str(packed), str(unpacked))
        if done.returncode != 0:
            raise LibraryError(f"{packed.name} cannot be unpacked: {last_line(done.stderr)}")
    file = unpacked / inside
    for _ in range(MOST_LINKS):
        if file.is_symlink():  # which means a place in the package, not on this machine
            meant = file.readlink()
            file = unpacked / meant.relative_to("/") if meant.is_absolute() else file.parent / meant
    if file.is_symlink() or not file.is_file():
        raise LibraryError(f"{packed.name} has no {inside}")
    shutil.copyfile(file, target)


def _lay_over(overlay: Path, root: Path) -> None:
    for path in sorted(overlay.rglob("*")):
        target = root / path.relative_to(overlay)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o755)  # a wheel keeps no modes; all of them are scripts


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
