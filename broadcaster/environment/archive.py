"""A folder as the kernel's initrd: cpio and zstd, the same bytes from the same folder wherever and whenever it is made.

Names are sorted, times are one time, owners are root, inodes are counted anew; nothing of the folder's own history is
left. The archive is written by cpio, which does this for distributions' reproducible builds.
"""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zstandard

from protocol.disk.system_tools import last_line, need_tool, tool_environment
from protocol.errors import LibraryError

WINDOW_LOG: Final = 23
"""[bits] 8 MiB of window: more makes the archive hardly smaller, and the kernel takes it from the memory at start."""


def newest(folder: Path) -> int:
    """[s] since 1970: the latest change of a file in a folder that packages have filled."""
    return max(int(path.lstat().st_mtime) for path in _inside(folder) if path.is_file() and not path.is_symlink())


def pack(root: Path, output: Path, *, epoch: int, level: int) -> int:
    """Write the archive of all below ``root``, every time set to ``epoch``; its uncompressed length in bytes.

    Raises:
        LibraryError: cpio is not installed, or fails.
        OSError: the archive cannot be written.
    """
    names = sorted(os.fsencode(path.relative_to(root)) for path in _inside(root))
    for name in names:
        path = os.fsencode(root) + b"/" + name
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            os.chown(path, 0, 0)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    parameters = zstandard.ZstdCompressionParameters.from_level(level, window_log=WINDOW_LOG, threads=os.cpu_count())
    command = [need_tool("cpio"), "--create", "--null", "--format=newc", "--reproducible", "--owner=+0:+0", "--quiet"]
    with tempfile.TemporaryFile() as listed, output.open("wb") as file:
        listed.write(b"\0".join(names) + b"\0")
        listed.seek(0)
        with subprocess.Popen(
            [*command, "--directory", str(root)],
            stdin=listed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=tool_environment(),
        ) as cpio:
            assert cpio.stdout is not None
            assert cpio.stderr is not None
            try:
                length, _ = zstandard.ZstdCompressor(compression_params=parameters).copy_stream(cpio.stdout, file)
            except BaseException:
                cpio.kill()
                raise
            complaint = cpio.stderr.read().decode(errors="replace")
    if cpio.returncode != 0:
        raise LibraryError(f"cpio failed: {last_line(complaint)}")
    return length


def _inside(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            yield Path(folder, name)
