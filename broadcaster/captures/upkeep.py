"""Keeps the records of captures on the medium and in the audit log, in order and off the loop.

What cannot be written is told in one line and stops nothing: a capture that is not kept is only not gone on with after
a restart, and its machine asks for it anew.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import Capture, CaptureRecord
from broadcaster.captures.capture_store import CaptureStore
from protocol.capture import CaptureStep
from protocol.errors import LibraryError

_logger = logging.getLogger(__name__)


class Upkeep:
    """Writes down what becomes of captures; ``write_down`` takes what belongs into the audit log, and blocks."""

    def __init__(
        self, store: CaptureStore, write_down: Callable[[AuditEvent, Mapping[str, str | int]], object]
    ) -> None:
        self._store = store
        self._write_down = write_down
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="capture records")

    def keep(self, capture: Capture) -> None:
        """Put a capture on the medium as it then stands."""
        self._writer.submit(self._save, capture)

    def ordered(self, record: CaptureRecord, operator: str) -> None:
        """Write down who wants a disk in the library."""
        self._writer.submit(self._write_down, AuditEvent.CAPTURE_ORDERED, _fields(record, operator))

    def ended(self, record: CaptureRecord, operator: str) -> None:
        """Write down which image it became, or why it became none."""
        if record.step is CaptureStep.DONE:
            fields = {**_fields(record, operator), "version": record.version}
            self._writer.submit(self._write_down, AuditEvent.IMAGE_ADDED, fields)
        else:
            fields = {**_fields(record, operator), "outcome": record.step.value, "reason": record.reason}
            self._writer.submit(self._write_down, AuditEvent.CAPTURE_ENDED, fields)

    def forget(self, capture_id: str) -> None:
        """Remove all of a capture."""
        self._writer.submit(self._store.forget, capture_id)

    async def close(self) -> None:
        """Wait for what was not written yet."""
        await asyncio.to_thread(self._writer.shutdown, wait=True)

    def _save(self, capture: Capture) -> None:
        try:
            self._store.save(capture.record)
        except LibraryError as error:
            _logger.warning("capture of %s is not kept over a restart: %s", capture.record.machine, error)


def _fields(record: CaptureRecord, operator: str) -> dict[str, str | int]:
    return {
        "operator": operator,
        "machine": record.machine,
        "image": record.image,
        "capture": record.capture_id,
    }
