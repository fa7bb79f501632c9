"""The planted bugs. Each is one that somebody could write, and that no type checker sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Text of one file that is replaced; it must be there exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug."""

    name: str
    breaks: str
    """what the bug does, in words"""
    changes: tuple[Change, ...]
    kernel: str = ""
    """kernel of the seal to play it with, where that is what it breaks"""


def _mutant(name: str, breaks: str, *changes: tuple[str, str, str], kernel: str = "") -> Mutant:
    return Mutant(name, breaks, tuple(Change(*change) for change in changes), kernel)


MUTANTS = (
    # --- what comes in -----------------------------------------------------------------------------------------------
    _mutant(
        "block unchecked",
        "a block is written without a look at its digest",
        (
            "receiver/deployment.py",
            ('if actual != digest:\n            raise IntegrityError(f"block'),
            ('if False:\n            raise IntegrityError(f"block'),
        ),
    ),
    _mutant(
        "rotten chunk sealed",
        "what has rotted in the library is sent: a nonce meets a second plaintext",
        ("broadcaster/library/library.py", "if actual != chunk.stored_digest or len(stored)", "if len(stored)"),
    ),
    _mutant(
        "wrong coefficient",
        "repair symbols are of another code",
        (
            "protocol/fec.py",
            "_GENERATOR[repair_id][-source_block_length:]",
            "_GENERATOR[repair_id][:source_block_length]",
        ),
    ),
    _mutant(
        "last wins",
        "a symbol that comes twice counts twice",
        ("protocol/pure_seal.py", ("    if ledger[esi]:\n        return _Outcome.DUPLICATE\n"), ""),
        kernel="pure",
    ),
    _mutant(
        "buffer back too early",
        "a block's buffer is given back before the block is stored",
        (
            "receiver/reception.py",
            ("        self.timer.forget(block.sbn)\n        self._pool.give_back(block)\n"),
            "        self.timer.forget(block.sbn)\n",
        ),
        (
            "receiver/reception.py",
            "            self._being_stored.add(block.sbn)\n",
            ("            self._being_stored.add(block.sbn)\n            self._pool.give_back(block)\n"),
        ),
    ),
    _mutant(
        "buffer back twice",
        "a buffer is given back twice, so that two blocks share it",
        (
            "receiver/reception.py",
            ("        self.timer.forget(block.sbn)\n        self._pool.give_back(block)\n"),
            (
                "        self.timer.forget(block.sbn)\n"
                "        self._pool.give_back(block)\n"
                "        self._pool.give_back(block)\n"
            ),
        ),
        ("protocol/blocks.py", "if self._taken_bytes < length:", "if False:"),
    ),
    _mutant(
        "pool leak",
        "a block that the scan found keeps its buffer",
        (
            "receiver/reception.py",
            (
                "            block = self._partial.pop(sbn, None)\n"
                "            if block is not None:\n"
                "                self._pool.give_back(block)\n"
            ),
            "            self._partial.pop(sbn, None)\n",
        ),
    ),
    _mutant(
        "digests not compared",
        "of a block that came wrong no symbol is found to be false",
        (
            "protocol/symbol_digests.py",
            "if blake3(symbol, key=_KEY).digest(SYMBOL_DIGEST_LENGTH) != told[place : place + SYMBOL_DIGEST_LENGTH]:",
            "if False:",
        ),
    ),
    _mutant(
        "good symbols dropped",
        "with the false symbols of a block the true ones go",
        (
            "receiver/reception.py",
            "dropped = block.drop_symbols(false_esis, self._pool.symbol_length)",
            "dropped = block.drop_symbols(range(255), self._pool.symbol_length)",
        ),
    ),
    # --- the disk ----------------------------------------------------------------------------------------------------
    _mutant(
        "no fsync",
        "what is read back was never synced",
        (
            "receiver/disk.py",
            ("        self._device.sync()\n        self._chunks.finish_sync()"),
            "        self._chunks.finish_sync()",
        ),
    ),
    _mutant(
        "read-back skipped",
        "everything is called equal",
        ("receiver/disk.py", "matches=sbn not in differing", "matches=True"),
    ),
    _mutant(
        "commit before read-back",
        "the disk boots before it is proved",
        (
            "receiver/disk.py",
            "            chunks = len(self._chunks) - self._chunks.count((ChunkState.VERIFIED, ChunkState.HELD))\n",
            "            chunks = 0\n",
        ),
        (
            "receiver/deployment.py",
            "        damaged = writer.read_back(progress, should_stop)\n",
            (
                "        damaged: list[int] = []\n"
                "        writer.read_back(progress, lambda: False) if writer.zero_bytes else None\n"
            ),
        ),
    ),
    _mutant(
        "marker too late",
        "the head is blanked before sector 0 says so",
        (
            "receiver/disk_edges.py",
            (
                "            self._device.write_at(0, self._marker + old[MARKER_LENGTH:])\n"
                "            self._device.sync()\n"
            ),
            "            old.release()\n",
        ),
    ),
    _mutant(
        "edges in the wrong order",
        "sector 0 is written together with the rest",
        (
            "receiver/disk_edges.py",
            "self._write_and_verify(self._marked(self._final))",
            "self._write_and_verify(self._final)",
        ),
    ),
    _mutant(
        "old edge kept unseen",
        "an edge chunk is taken from the old disk without a look",
        ("receiver/disk_edges.py", "return raw_digest(raw) == chunk.raw_digest and self.hold(", "return self.hold("),
    ),
    _mutant(
        "scan believes",
        "the scan adopts what it has not compared",
        ("receiver/scan.py", "return [sbn for sbn in sbns if sbn not in differing]", "return list(sbns)"),
    ),
    _mutant(
        "adopted, then written unread",
        "a chunk that was adopted and is written later is not read back",
        (
            "receiver/chunk_ledger.py",
            ("            self._states[index] = ChunkState.MISSING\n\n    def finish_write"),
            (
                "            if self._states[index] != ChunkState.VERIFIED:\n"
                "                self._states[index] = ChunkState.MISSING\n"
                "\n"
                "    def finish_write"
            ),
        ),
        (
            "receiver/chunk_ledger.py",
            ("            self._states[index] = ChunkState.WRITTEN\n\n    def hold"),
            (
                "            if self._states[index] != ChunkState.VERIFIED:\n"
                "                self._states[index] = ChunkState.WRITTEN\n"
                "\n"
                "    def hold"
            ),
        ),
    ),
    _mutant(
        "zeros left out",
        "a zero range keeps what was there",
        ("receiver/disk_layout.py", "return tuple(pieces)", "return ()"),
    ),
    # --- permission to write ---------------------------------------------------------------------------------------
    _mutant(
        "countdown skipped",
        "the disk is written while the seat still says that it can be stopped",
        (
            "receiver/arming.py",
            "        return not self._is_held and now >= self._ends_at\n",
            "        return not self._is_held\n",
        ),
    ),
    _mutant(
        "abort forgotten",
        "somebody stops a seat whose turn at the disk has come, and the disk is written",
        ("receiver/arming.py", "            if self._is_stopped:\n                raise RefusedError(STOPPED)\n", ""),
    ),
    _mutant(
        "abort when it is too late",
        "a seat says that nothing was written when the first write is under way",
        ("receiver/arming.py", "return not self._is_stopped and not self._has_begun", "return not self._is_stopped"),
    ),
    # --- the plan ----------------------------------------------------------------------------------------------------
    _mutant(
        "plan is an order",
        "a seat that is only planned writes its disk",
        ("receiver/arming.py", "        self._is_held = is_held\n", "        self._is_held = False\n"),
    ),
    _mutant(
        "plan held by nobody",
        "what is only planned is written when the countdown would be over",
        (
            "receiver/arming.py",
            "        return not self._is_held and now >= self._ends_at\n",
            "        return now >= self._ends_at\n",
        ),
        (
            "receiver/arming.py",
            "            if self._is_held:\n                raise SessionStateError",
            "            if False:\n                raise SessionStateError",
        ),
        ("receiver/standing.py", "        if self.arming.is_held:\n            return ReceiverState.PLANNED\n", ""),
    ),
    _mutant(
        "planned seat takes the disk",
        "blocks are stored before the disk may be written",
        (
            "receiver/standing.py",
            "return toi == TOI_MANIFEST or self.state in (ReceiverState.RECEIVING, ReceiverState.VERIFYING)",
            "return True",
        ),
    ),
    _mutant(
        "foreseen is found",
        "what a look at the disk promised is believed when it is written",
        (
            "receiver/session.py",
            "        self._objects.manifest_loaded(manifest)\n        self._standing.enter(",
            "        if not self._speech._inventory.is_foreseen:\n            self._objects.manifest_loaded(manifest)\n"
            "        self._standing.enter(",
        ),
    ),
    _mutant(
        "dismissed seat writes on",
        "a seat that was stopped finishes what it has begun to write",
        ("receiver/session.py", "        if self.last_status.is_dismissed:\n", "        if False:\n"),
    ),
    # --- repair ------------------------------------------------------------------------------------------------------
    _mutant(
        "repair symbols reused",
        "when the repair symbols are used up, the first ones are sent again",
        (
            "broadcaster/repair.py",
            "self._repair_symbols_used[sbn] = used + fresh",
            "self._repair_symbols_used[sbn] = 0",
        ),
    ),
    _mutant(
        "requests merge to the least",
        "the seat that is short of least decides",
        (
            "broadcaster/repair.py",
            "need.deficit = max(need.deficit, outstanding)",
            "need.deficit = min(need.deficit or outstanding, outstanding)",
        ),
    ),
    _mutant(
        "requests add up",
        "each seat gets symbols of its own",
        ("broadcaster/repair.py", "need.deficit = max(need.deficit, outstanding)", "need.deficit += outstanding"),
    ),
    _mutant(
        "no hold-off of the sender",
        "what is in flight is sent again",
        (
            "broadcaster/repair.py",
            "outstanding = deficit - self._in_flight.get(sbn, (0.0, 0))[1] - self._handed_out.get(sbn, 0)",
            "outstanding = deficit",
        ),
    ),
    _mutant(
        "no hold-off of the receiver",
        "a block is asked for again before repair can arrive",
        ("receiver/repair.py", "            and now - self._asked_at.get(block.sbn, -inf) >= holdoff\n", ""),
    ),
    _mutant(
        "pending repaired",
        "a block that has yet to leave in the first pass is repaired already",
        ("broadcaster/repair.py", " or plan.is_pending(sbn):", ":"),
    ),
    _mutant(
        "range too short",
        "the last block of a range that a seat lacks is never sent",
        (
            "broadcaster/repair.py",
            "wanted = RangeSet([(first, last + 1)])",
            "wanted = RangeSet([(first, max(last, first + 1))])",
        ),
    ),
    _mutant(
        "nonsense believed",
        "a request for blocks that do not exist is queued",
        (
            "broadcaster/session.py",
            "        if self._objects[request.toi].contradicts(request):\n",
            "        if False:\n",
        ),
    ),
    # --- the session -------------------------------------------------------------------------------------------------
    _mutant(
        "lost seat awaited",
        "a dead machine holds up the room for ever",
        (
            "broadcaster/roster.py",
            "self.outcome(now) not in (LOST, STALLED, INCOMPLETE, ABORTED)",
            "self.outcome(now) not in (STALLED, INCOMPLETE, ABORTED)",
        ),
    ),
    _mutant(
        "silence of the broker judged",
        "when the broker is away, everybody is lost",
        (
            "broadcaster/session.py",
            ("        if self._control_lost_at is None:\n            self._control_lost_at = now\n"),
            "        return\n",
        ),
    ),
    _mutant(
        "final report not acknowledged",
        "nobody may leave",
        ("broadcaster/bulletin.py", "settled=settled,", "settled=(),"),
    ),
    _mutant(
        "status starts over",
        "after a restart the status looks older than the last one",
        ("broadcaster/bulletin.py", "self._sequence = generation << 32", "self._sequence = 0"),
    ),
    _mutant(
        "inventory not told again",
        "a broadcaster that was restarted is left to wait",
        (
            "receiver/session.py",
            "        if self.last_status.was_restarted:\n",
            "        if False:\n",
        ),
    ),
    _mutant(
        "resume sends all",
        "after a restart everything is sent again",
        (
            "broadcaster/plan.py",
            "self._split(wanted_by(missing, 1), missing)",
            "self._split((1 << self.block_count) - 1, missing)",
        ),
    ),
    _mutant(
        "second part never sent",
        "what only few seats lack is left to repair",
        ("broadcaster/plan.py", "self._rest = ranges_of(planned & ~common)", "self._rest = RangeSet()"),
    ),
    _mutant(
        "black hole unseen",
        "a seat that multicast does not reach waits for ever",
        ("broadcaster/stragglers.py", "            return Straggler(NO_DATA)\n", "            return None\n"),
    ),
    _mutant(
        "half a block never fetched",
        "a seat that catches up does not finish what arrived in part",
        (
            "receiver/reception.py",
            ("        for block in self._partial.values():\n            is_quiet"),
            ("        for block in list[BlockBuffer]():\n            is_quiet"),
        ),
    ),
    _mutant(
        "damage awaited",
        "a seat that lacks a block that cannot be sent is awaited",
        ("broadcaster/session.py", "if self.damaged and self._plans[TOI_DISK].is_over:", "if False:"),
    ),
    _mutant(
        "numbers start over",
        "who joins the session again is taken for an old message",
        (
            "receiver/session.py",
            "seat, target, last_sequence)",
            "seat, target, last_sequence * (last_sequence == 10_000))",
        ),
    ),
    _mutant(
        "seat named twice",
        "a machine that has started anew stands twice in the report",
        ("broadcaster/roster.py", "if seat.report.seat == report.seat and is_gone and is_unfinished:", "if False:"),
    ),
    _mutant(
        "too many side by side",
        "blocks are taken for gone by while they are under way",
        (
            "broadcaster/interleaving.py",
            "self._open[0].number < INTERLEAVED_BLOCKS",
            "self._open[0].number < 10 * INTERLEAVED_BLOCKS",
        ),
        (
            "broadcaster/interleaving.py",
            "for count in range(INTERLEAVED_BLOCKS + 1)",
            "for count in range(10 * INTERLEAVED_BLOCKS + 1)",
        ),
    ),
)
