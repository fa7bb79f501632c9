"""An insider: it knows the session secret, hears the group, and puts false symbols with good tags into some blocks."""

import random

from protocol.errors import WireError
from protocol.fields import decode_tsi
from protocol.messages import Announcement
from protocol.seal import Seal
from protocol.wire import HEADER_LENGTH, MAX_REPAIR_SYMBOLS, TAG_LENGTH, decode_header
from tests.simulator.image import ENCODING_SYMBOL_LENGTH
from tests.simulator.network import LinkFaults, SimulatedMulticast
from tests.simulator.order import session_secret
from tests.simulator.schedule import Schedule

MACHINE = "insider"

LONGEST_REACH = 3
"""[blocks] How far ahead of the sender it lies, so that the false symbol is there before the true one."""


class Insider:
    """Lies until ``ends_at``, about ``ratio`` of the blocks, ``persistence`` times about each."""

    def __init__(
        self,
        schedule: Schedule,
        network: SimulatedMulticast,
        rng: random.Random,
        announcement: Announcement,
        *,
        ratio: float,
        persistence: int,
        ends_at: float,
    ) -> None:
        self._schedule = schedule
        self._network = network
        self._rng = rng
        self._tsi = decode_tsi(announcement.tsi)
        self._seal = Seal(
            session_secret(announcement.tsi), announcement.manifest_digest, self._tsi, ENCODING_SYMBOL_LENGTH
        )
        self._ratio = ratio
        self._persistence = persistence
        self._ends_at = ends_at
        self._lengths: dict[tuple[int, int], int] = {}
        self._lies_left: dict[tuple[int, int], int] = {}
        self.datagrams_sent = 0
        self.blocks: set[tuple[int, int]] = set()
        """toi and sbn of what it has lied about"""
        network.join(MACHINE, self._hear, LinkFaults())

    def _hear(self, batch: bytes, datagram_length: int) -> None:
        if self._schedule.now >= self._ends_at:
            return
        heard: dict[tuple[int, int], int] = {}
        for start in range(0, len(batch), datagram_length):
            try:
                header = decode_header(batch[start : start + datagram_length])
            except WireError:
                continue
            heard[header.toi, header.payload_id.sbn] = header.payload_id.source_block_length
        for (toi, sbn), length in heard.items():
            self._lie_about(toi, sbn, length)
            # Of what comes next it can only guess the length: mostly that of an incompressible block.
            if self._rng.random() < 0.3:
                self._lie_about(toi, sbn + self._rng.randint(1, LONGEST_REACH), length)

    def _lie_about(self, toi: int, sbn: int, length: int) -> None:
        block = (toi, sbn)
        if block not in self._lies_left:
            self._lies_left[block] = self._persistence if self._rng.random() < self._ratio else 0
        if not self._lies_left[block]:
            return
        self._lies_left[block] -= 1
        self.blocks.add(block)
        esis = [self._rng.randrange(length + MAX_REPAIR_SYMBOLS) for _ in range(self._rng.randint(1, 3))]
        versions = self._rng.randint(1, 2)
        self._network.inject([self._false_symbol(toi, sbn, length, esi) for esi in esis * versions])
        self.datagrams_sent += len(esis) * versions

    def _false_symbol(self, toi: int, sbn: int, length: int, esi: int) -> bytes:
        symbol = self._rng.randbytes(ENCODING_SYMBOL_LENGTH)
        datagram = bytearray(HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH)
        self._seal.seal_symbols(
            datagram,
            symbol,
            toi=toi,
            sbn=sbn,
            source_block_length=length,
            esis=[esi],
            last_symbol_length=ENCODING_SYMBOL_LENGTH,
        )
        return bytes(datagram)
