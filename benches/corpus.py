"""What the benches send, and where: files on tmpfs, so that no disk is measured."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEMORY_FOLDER: Final = Path("/dev/shm")
"""tmpfs, because the network is measured and not a disk."""

_PIECE: Final = 1 << 20


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder on tmpfs, removed with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="slatecast-bench-", dir=MEMORY_FOLDER))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_incompressible(path: Path, size: int, *, seed: int = 2) -> Path:
    """A file of ``size`` bytes that no codec makes smaller, the same for the same seed."""
    source = random.Random(seed)
    with path.open("wb") as file:
        for offset in range(0, size, _PIECE):
            file.write(source.randbytes(min(_PIECE, size - offset)))
    return path
