"""Both objects of one session as they come in: object 0, the manifest, and object 1, the disk, in one memory. Pure.

What a reception decides for one object is asked here for both, the manifest first: nothing of the disk is of use
without it.
"""

import random
from collections.abc import Iterator
from typing import Final

from protocol.blocks import BlockBuffer, BlockPool, source_block_length
from protocol.errors import SessionStateError
from protocol.manifest import CHUNK_SIZE, Manifest
from protocol.messages import Announcement, SessionPhase, SessionStatus
from protocol.wire import TOI_DISK, TOI_MANIFEST
from receiver.events import Want
from receiver.reception import Reception
from receiver.repair import RepairTimer

SILENCE: Final = 0.15
"""[s] After so long without a symbol that is wanted, the sender's position is believed even for blocks that were never
seen; until then they may still lie in the receive buffer."""

DARKNESS: Final = 2.0
"""[s] After so long without anything by multicast, a seat on the catch-up lane fetches also what is yet to be sent."""


class Receptions:
    """The receptions of one session: ``manifest`` and ``disk``, or by their transport object identifier."""

    def __init__(self, announcement: Announcement, *, rng: random.Random, now: float, buffer_limit: int) -> None:
        """``buffer_limit`` is in bytes, for the blocks of both."""
        self._symbol_length = announcement.oti.encoding_symbol_length
        self._manifest_bytes = announcement.manifest_length
        self._loaded: Manifest | None = None
        self._touched: list[tuple[BlockBuffer, int]] = []
        self.pool = BlockPool(buffer_limit, announcement.oti.maximum_source_block_length, self._symbol_length)
        self.manifest = Reception(TOI_MANIFEST, self._manifest_block_length, self.pool, RepairTimer(rng, now), now)
        self.disk = Reception(TOI_DISK, self._disk_block_length, self.pool, RepairTimer(rng, now), now)
        self.has_scanned = False
        """What the disk lacks is known."""
        self.manifest.want_all(len(announcement.manifest_block_digests))

    def __getitem__(self, toi: int) -> Reception:
        return (self.manifest, self.disk)[toi]

    def __iter__(self) -> Iterator[Reception]:
        yield self.manifest
        yield self.disk

    @property
    def has_manifest(self) -> bool:
        """Whether it is known what the blocks of the disk are."""
        return self._loaded is not None

    @property
    def last_arrival(self) -> float:
        """When a symbol that was wanted came last by multicast, in seconds."""
        return max(each.last_arrival for each in self)

    def knows_what_it_lacks(self, toi: int) -> bool:
        """Whether a block of this object of which nothing came is known to be missing."""
        return self.has_scanned or toi == TOI_MANIFEST

    def manifest_loaded(self, manifest: Manifest) -> None:
        """All blocks of the disk that it names are wanted."""
        self._loaded = manifest
        self.disk.want_all(len(manifest))

    def find(
        self, toi: int, sbn: int, source_block_length: int, *, is_multicast: bool
    ) -> tuple[bytearray, bytearray] | None:
        """The buffer and the ledger for symbols of this block, or None if they are not wanted or there is no room."""
        block = self[toi].find(sbn, source_block_length, is_multicast=is_multicast)
        if block is None:
            return None
        self._touched.append((block, block.symbol_count))
        return block.symbols, block.ledger

    def opened(self, now: float, *, is_multicast: bool) -> list[BlockBuffer]:
        """The symbols for which ``find`` was asked lie in their buffers: gives the blocks that can be decoded now."""
        touched, self._touched = self._touched, []
        return [
            block
            for block, symbols_before in touched
            if self[block.toi].opened(block, symbols_before, now, is_multicast=is_multicast)
        ]

    def believe(self, status: SessionStatus, now: float, *, takes_disk: bool) -> None:
        """In silence, blocks below the sender's position have gone by, whether or not any of their symbols was seen."""
        phase, position = status.phase, status.position
        if now - self.manifest.last_arrival >= SILENCE and phase is not SessionPhase.WAITING:
            is_over = phase is not SessionPhase.MANIFEST
            self.manifest.go_by(self.manifest.block_count if is_over else position)
        if takes_disk and now - self.disk.last_arrival >= SILENCE and phase is SessionPhase.DISK:
            self.disk.go_by(position)

    def next_want(self, now: float, *, is_on_catch_up: bool, must_leave_group: bool, takes_disk: bool) -> Want | None:
        """What to fetch next from the catch-up lane, or None; what is suspected comes first, for any seat.

        Unless it ``takes_disk``, no block of the disk is of use yet.
        """
        objects = tuple(self) if takes_disk else (self.manifest,)
        for each in objects:
            if (want := each.next_suspect_want(now)) is not None:
                return want
        for each in objects if is_on_catch_up else ():
            from_everywhere = must_leave_group or now - each.last_arrival >= DARKNESS
            want = each.next_want(now, whole_blocks=self.knows_what_it_lacks(each.toi), from_everywhere=from_everywhere)
            if want is not None:
                return want
        return None

    def _manifest_block_length(self, sbn: int) -> int:
        stored_length = min(CHUNK_SIZE, self._manifest_bytes - sbn * CHUNK_SIZE)
        return source_block_length(stored_length, self._symbol_length)

    def _disk_block_length(self, sbn: int) -> int:
        if self._loaded is None:
            raise SessionStateError("a block of the disk was looked up before the manifest was loaded")
        return source_block_length(self._loaded[sbn].stored_length, self._symbol_length)
