"""Builds an environment beside the folder it is for and puts it there whole: whatever happens, the old one stays.

Debian packages are unpacked, what no seat needs is left out, our own program goes in, and all becomes one archive.
Nothing of this machine's settings or keys is read but the trust that is given.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broadcaster.environment import archive
from broadcaster.environment.chroot import run_inside
from broadcaster.environment.debian_root import apt_sources, unpack_debian
from broadcaster.environment.description import (
    DESCRIPTION,
    FILES,
    INITRD,
    KERNEL,
    Environment,
    file_facts,
    write_description,
)
from broadcaster.environment.finishing import finish, leave_out, take_loaders
from broadcaster.environment.kernel_modules import keep_modules
from broadcaster.environment.python_packages import add_python, compile_all
from broadcaster.environment.recipe import SUITE
from broadcaster.environment.replacing import check_replaceable, replace_folder
from protocol.disk.system_tools import need_tool
from protocol.errors import LibraryError, RefusedError

DEFAULT_LEVEL: Final = 19
"""of zstd: smaller costs minutes of building once; a room's download of it is paid for every morning"""

TOOLS: Final = ("mmdebstrap", "chroot", "cpio", "dpkg-deb")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class BuildSetting:
    """What a build may be told."""

    suite: str = SUITE
    """release of Debian"""
    mirrors: Sequence[str] = ()
    """addresses of mirrors; empty: this machine's, else Debian's"""
    cache: Path | None = None
    """folder that keeps the packages' files"""
    trust: bytes | None = None
    """public keys of the broadcaster, as a file has them"""
    level: int = DEFAULT_LEVEL
    """of zstd"""
    epoch: int | None = None
    """[s] since 1970: the time of everything inside; None: of the newest file in the packages"""


def build_environment(output: Path, setting: BuildSetting, say: Say = lambda step: None) -> Environment:
    """Build an environment and make it the folder ``output``; ``say`` is told of every step.

    Raises:
        ConfigError: the output is a folder of something else, or no release or mirror is named.
        RefusedError: somebody else than root asks.
        LibraryError: a tool is missing or fails, or the disk is full.
        TransportError: the mirror fails.
    """
    if os.geteuid() != 0:
        raise RefusedError("building an environment needs root: files in it belong to root, and its programs are run")
    for tool in TOOLS:
        need_tool(tool)
    check_replaceable(output)
    sources = apt_sources(setting.suite, setting.mirrors)
    try:
        with _work_folder(output) as work:
            environment = _build(work, setting, sources, say)
            replace_folder(work / "new", output)
    except OSError as error:
        raise LibraryError(f"{error.filename or output}: {error.strerror or error}") from error
    return environment


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """Beside the output, so that the result needs no copying; gone afterwards, however it ends."""
    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.absolute().parent))
    try:
        yield work
    finally:
        shutil.rmtree(work)


def _build(work: Path, setting: BuildSetting, sources: list[str], say: Say) -> Environment:
    root, downloads, new = work / "root", work / "downloads", work / "new"
    new.mkdir(mode=0o755)
    say(f"unpacking Debian {setting.suite}")
    packages = unpack_debian(root, setting.suite, sources, downloads, setting.cache)
    debian = (root / "etc/debian_version").read_text(encoding="utf-8").strip()
    epoch = archive.newest(root / "usr/lib") if setting.epoch is None else setting.epoch
    shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), new / KERNEL)
    say("choosing drivers")
    kernel = keep_modules(root)
    say("adding slatecast")
    python_packages = add_python(root)
    leave_out(root)
    finish(root, downloads, setting.trust)
    take_loaders(downloads, new)
    say("compiling")
    compile_all(root)
    slatecast = run_inside(root, "slatecast", "--version").split()[-1]
    say("packing")
    unpacked = archive.pack(root, new / INITRD, epoch=epoch, level=setting.level)
    environment = Environment(
        slatecast=slatecast,
        suite=setting.suite,
        debian=debian,
        kernel=kernel,
        built_at=epoch,
        initrd_unpacked=unpacked,
        has_trust=setting.trust is not None,
        files=file_facts(new, FILES),
        packages=packages,
        python_packages=python_packages,
    )
    write_description(new, environment)
    for name in (*FILES, DESCRIPTION):
        (new / name).chmod(0o644)
        os.utime(new / name, (epoch, epoch))
    return environment
