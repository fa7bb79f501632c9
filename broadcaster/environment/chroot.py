"""Runs programs of an unpacked Debian inside it, with none of this machine's settings and nothing mounted."""

import os
import subprocess
from pathlib import Path
from typing import Final

from protocol.disk.system_tools import last_line, need_tool
from protocol.errors import LibraryError

ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/",
    "PYTHONHASHSEED": "0",  # the order of a compiled set must not depend on chance
    "PYTHONDONTWRITEBYTECODE": "1",
}


def run_inside(root: Path, program: str, *arguments: str) -> str:
    """What the program says on standard output.

    Raises:
        LibraryError: it fails; the text is its last line.
    """
    command = [need_tool("chroot"), str(root), program, *arguments]
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=ENVIRONMENT,
        cwd=os.sep,
    )
    if done.returncode != 0:
        raise LibraryError(f"{program} failed in the environment: {last_line(done.stderr or done.stdout)}")
    return done.stdout
