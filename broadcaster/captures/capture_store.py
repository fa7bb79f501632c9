"""The captures of a library on disk: their records, so that a broadcaster that was killed goes on with them.

Blocks; call it from a thread. A record that cannot be read is that of no capture: its chunks can belong to nothing.
"""

import logging
import re
import shutil
from pathlib import Path
from typing import Final

import msgspec

from broadcaster.captures.capture import CaptureRecord
from broadcaster.captures.capture_folder import CaptureFolder
from broadcaster.library.store import library_errors
from protocol.link.whole_file import replace_whole

CAPTURES_FOLDER: Final = "captures"
"""Name of the folder in the library."""

MAX_RECORD_LENGTH: Final = 1 << 20
"""[bytes] One with 64 findings is 130 KiB; stops a file of any other origin from filling the memory."""

_STATE: Final = "state.json"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_DECODER: Final = msgspec.json.Decoder(CaptureRecord)
_logger = logging.getLogger(__name__)


class CaptureStore:
    """The captures below ``root``, a folder of the library."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def load(self) -> list[CaptureRecord]:
        """All of them, in the order in which they were asked for; what is none is removed.

        Raises:
            LibraryError: the folder cannot be read.
        """
        with library_errors(self._root):
            if not self._root.is_dir():
                return []
            records = []
            for folder in sorted(self._root.iterdir()):
                if not _ID.fullmatch(folder.name):
                    continue
                record = _read(folder)
                if record is None:
                    _logger.warning("capture %s has no readable state: what had arrived of it is removed", folder.name)
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    records.append(record)
        return sorted(records, key=lambda each: each.began_at)

    def save(self, record: CaptureRecord) -> None:
        """Put a record on the medium.

        Raises:
            LibraryError: the old one had to stay.
        """
        folder = self._root / record.capture_id
        with library_errors(self._root.parent):
            folder.mkdir(parents=True, exist_ok=True)
            replace_whole(folder / _STATE, msgspec.json.encode(record), 0o600)

    def folder(self, capture_id: str) -> CaptureFolder:
        """Where its chunks are."""
        return CaptureFolder(self._root / capture_id)

    def forget(self, capture_id: str) -> None:
        """Remove all of a capture."""
        shutil.rmtree(self._root / capture_id, ignore_errors=True)


def _read(folder: Path) -> CaptureRecord | None:
    try:
        with (folder / _STATE).open("rb") as file:
            record = _DECODER.decode(file.read(MAX_RECORD_LENGTH))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return record if record.capture_id == folder.name else None
