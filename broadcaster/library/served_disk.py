"""The disk of an image as a file that can be read anywhere, without being exported: see ``disk_server``."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broadcaster.library.disk_server import NAME, READY
from broadcaster.library.library import Library
from protocol.disk.system_tools import last_line, need_tool, run_tool
from protocol.errors import LibraryError
from protocol.manifest import Manifest

ENDING_PATIENCE: Final = 5.0
"""[s] for the process that shows the disk to end by itself: it has nothing left to do."""

_MODULE: Final = "broadcaster.library.disk_server"


@contextmanager
def served_disk(library: Library, manifest: Manifest) -> Iterator[tuple[Path, Callable[[], str]]]:
    """The path of the disk, and whom to ask when reading it fails: what is wrong with the image, empty if nothing is.

    Only within ``private_mounts.in_private_mounts``.

    Raises:
        LibraryError: it cannot be shown; without libfuse, or without /dev/fuse.
    """
    header = manifest.header
    with (
        tempfile.TemporaryDirectory(prefix="slatecast-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as complaints,
    ):
        command = [sys.executable, "-P", "-m", _MODULE, str(library.root), header.name, str(header.version), folder]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is for us: it must answer until nothing is mounted any more
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def complaint() -> str:
                complaints.seek(0)
                text = complaints.read().decode(errors="replace")
                return last_line(text) if text.strip() else ""

            try:
                said = process.stdout.readline().decode(errors="replace").strip()
                if said != READY:
                    raise LibraryError(said or complaint() or "the disk of the image cannot be shown")
                yield Path(folder, NAME), complaint
            finally:
                process.stdin.close()
                try:
                    process.wait(ENDING_PATIENCE)
                except subprocess.TimeoutExpired:
                    run_tool(need_tool("umount"), "--lazy", folder)
                    process.kill()
