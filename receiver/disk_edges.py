"""The edges of the disk, which decide whether it boots: sector 0 is the first thing that changes, and the last.

``DiskEdges`` keeps the chunks of head and tail (see ``disk_layout``) in memory, at most 2.25 MiB. The first write of a
cast puts the marker into sector 0 and the last one takes it away; each is a single sector, atomic on any disk, alone
between two syncs. So after a power cut at any moment the disk is untouched, or marked, or complete. All that is
written here is synced and read back before the call returns.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from protocol.digests import Buffer, raw_digest
from protocol.errors import DiskError, IntegrityError
from protocol.manifest import Manifest, StoredChunk
from receiver.blockdevice import BlockDevice, new_read_buffer
from receiver.disk_layout import MARKER_LENGTH, DiskLayout, Extent, incomplete_marker

FIRST_BLOCK_LENGTH: Final = 4096
"""[bytes] Sector 0 is written in a whole physical sector of any disk; only the first MARKER_LENGTH bytes change."""


class DiskEdges:
    """Head, tail and beyond of one disk; what of them no chunk covers is zeros in the end."""

    def __init__(self, device: BlockDevice, manifest: Manifest, layout: DiskLayout) -> None:
        self._device = device
        self._layout = layout
        self._marker = incomplete_marker(manifest)
        areas = (layout.head, layout.tail, layout.beyond)
        self._final = {area: bytearray(area.length) for area in areas if area.length}
        self._buffer = new_read_buffer(max(area.length for area in areas))
        self._is_marked = False

    def hold(self, offset: int, raw: Buffer) -> bool:
        """Keep a chunk for ``commit``; False if it lies in the body and is to be written at once."""
        area = self._layout.deferred_area(offset)
        if area is None:
            return False
        start = offset - area.offset
        self._final[area][start : start + len(raw)] = raw
        return True

    def keep_matching(self, chunk: StoredChunk) -> bool:
        """Keep an edge chunk for ``commit`` if the disk, not blanked yet, holds its bytes; False if not."""
        try:
            raw = self._device.read_uncached(chunk.offset, chunk.raw_length, self._buffer)
        except DiskError:  # a sector that cannot be read may still take a write, which decides
            return False
        return raw_digest(raw) == chunk.raw_digest and self.hold(chunk.offset, raw)

    def has_marker(self) -> bool:
        """Whether an earlier cast of the very same image began here; a hint, since anybody can write that sector."""
        try:
            return bytes(self._device.read_uncached(0, MARKER_LENGTH, self._buffer)) == self._marker
        except DiskError:
            return False

    def blank(self) -> None:
        """Put the marker into sector 0, then zeros everywhere else, so that no old table revives.

        Until the marker is in its place an error leaves the disk as it was. After that an error keeps no area from
        being blanked; the first one is raised in the end.
        """
        errors: list[DiskError | IntegrityError] = []
        with _collected(errors):
            old = self._device.read_uncached(0, min(FIRST_BLOCK_LENGTH, self._layout.head.length), self._buffer)
            self._device.write_at(0, self._marker + old[MARKER_LENGTH:])
            self._device.sync()
            self._is_marked = True
        if self._is_marked:
            blanks = self._marked({area: bytes(area.length) for area in self._final})
            for area, content in blanks.items():
                with _collected(errors):
                    self._device.write_at(area.offset, content)
            with _collected(errors):
                self._device.sync()
            for area, content in blanks.items():
                with _collected(errors):
                    self._verify({area: content})
        if errors:
            raise errors[0]

    def commit(self) -> None:
        """Write everything but sector 0, prove it, and only then replace the marker."""
        self._write_and_verify(self._marked(self._final))
        self._device.write_at(0, memoryview(self._final[self._layout.head])[:FIRST_BLOCK_LENGTH])
        self._device.sync()
        self._verify(self._final)

    def _marked(self, contents: Mapping[Extent, bytes | bytearray]) -> Mapping[Extent, Buffer]:
        head = self._layout.head
        return {**contents, head: self._marker + contents[head][MARKER_LENGTH:]}

    def _write_and_verify(self, contents: Mapping[Extent, Buffer]) -> None:
        for area, content in contents.items():
            self._device.write_at(area.offset, content)
        self._device.sync()
        self._verify(contents)

    def _verify(self, contents: Mapping[Extent, Buffer]) -> None:
        for area, content in contents.items():
            expected = raw_digest(content)
            actual = raw_digest(self._device.read_uncached(*area, self._buffer))
            if actual != expected:
                what = f"{self._device.name} does not keep what is written at byte {area.offset}"
                raise IntegrityError(what, expected, actual)


@contextmanager
def _collected(errors: list[DiskError | IntegrityError]) -> Iterator[None]:
    """Let the next step run whatever this one finds."""
    try:
        yield
    except (DiskError, IntegrityError) as error:
        errors.append(error)
