"""The process that shows the disk of an image as a file: ``python -m broadcaster.library.disk_server``.

    disk_server LIBRARY NAME VERSION FOLDER     FOLDER/disk can be read until standard input ends

It is a process of its own because the kernel waits for its answers: who mounts what lies on the disk must not be the
one who answers. It says "ready" in a line when the file is there; whatever it says before is why it is not.
"""

import errno
import os
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import Any, Final

from broadcaster.library.disk_view import DiskView
from broadcaster.library.library import Library
from protocol.errors import IntegrityError, LibraryError, SlatecastError

NAME: Final = "disk"
READY: Final = "ready"


def main(arguments: list[str]) -> int:
    """Serve until nobody wants it any more; the exit code."""
    root, name, version, folder = arguments
    try:
        library = Library.open(Path(root))
        manifest = library.load(name, int(version))
        with library.in_use(manifest):
            _serve(DiskView(library, manifest), folder)
    except SlatecastError as error:
        print(error, flush=True)
        return 1
    return 0


def _serve(view: DiskView, folder: str) -> None:
    try:
        # The library of the system that it calls may be missing, which only shows here.
        import mfusepy  # type: ignore[import-untyped] # it has no types  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise LibraryError(f"looking into images takes FUSE: apt install libfuse3-3 ({error})") from error

    class OneFile(mfusepy.Operations):  # type: ignore[misc] # mfusepy has no types
        """A folder with the disk in it."""

        use_ns = True

        def init(self, path: str) -> None:
            print(READY, flush=True)
            threading.Thread(target=_end_with_standard_input, daemon=True).start()

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o500, "st_nlink": 2}
            if path == f"/{NAME}":
                return {"st_mode": stat.S_IFREG | 0o400, "st_nlink": 1, "st_size": view.size}
            raise mfusepy.FuseOSError(errno.ENOENT)

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", NAME]

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            try:
                return view.read(offset, size)
            except (IntegrityError, LibraryError) as error:
                print(error, file=sys.stderr, flush=True)
                raise mfusepy.FuseOSError(errno.EIO) from error

    try:
        mfusepy.FUSE(OneFile(), folder, foreground=True, nothreads=True, ro=True, fsname="slatecast")
    except RuntimeError as error:
        raise LibraryError(f"the disk cannot be shown by FUSE in {folder} ({error}): is there /dev/fuse?") from error


def _end_with_standard_input() -> None:
    """Whoever started us holds the other end, and it closes however that process ends."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
