"""An NTFS by the program that reads it, as a child that ends with whoever started it.

Left to itself, ntfs-3g goes on as a daemon. In a mount namespace that nobody else has, it and its mount would keep each
other alive, with the disk, when the one who mounted it is killed. So then it is told to unmount. It must not be killed:
as the last in the namespace it would wait without end for its own answer to the unmounting.
"""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from protocol.disk.private_mounts import bound_to_us
from protocol.disk.system_tools import need_tool, run_tool, tool_environment
from protocol.errors import RefusedError

ENDING_PATIENCE: Final = 30.0
"""[s] for ntfs-3g to write down what it has, once it is unmounted; then it is killed."""

_LOOK_AGAIN: Final = 0.02
"""[s] between two looks whether it is mounted yet."""


@contextmanager
def serving_ntfs(device: Path, folder: Path, options: str) -> Iterator[None]:
    """The NTFS of a device is mounted at ``folder``; it is unmounted, and its program has ended, at the end.

    A file of it that is still open then keeps nothing alive: the mount is taken out of sight, and its program killed.

    Raises:
        RefusedError: it cannot be mounted; the text says why.
        LibraryError: ntfs-3g is not installed.
    """
    command = bound_to_us(
        need_tool("ntfs-3g"), "-o", f"{options},no_detach", str(device), str(folder), ending=signal.SIGTERM
    )
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=tool_environment(),
            start_new_session=True,  # Ctrl-C is for us: it must answer until it is unmounted
        ) as program,
    ):
        try:
            _wait_until_mounted(program, folder, said)
            yield
        finally:
            if run_tool(need_tool("umount"), str(folder)).returncode != 0:
                run_tool(need_tool("umount"), "--lazy", str(folder))
            try:
                program.wait(ENDING_PATIENCE)
            except subprocess.TimeoutExpired:
                program.kill()


def _wait_until_mounted(program: "subprocess.Popen[bytes]", folder: Path, said: IO[bytes]) -> None:
    while not folder.is_mount():
        try:
            program.wait(_LOOK_AGAIN)
        except subprocess.TimeoutExpired:
            continue
        said.seek(0)
        # Advice for pages follows.
        reason = said.readline().decode(errors="replace").strip() or "no reason given"
        raise RefusedError(f"the ntfs cannot be mounted: {reason}")
