import random

import pytest

from protocol.bitmap import decode_bitmap, ranges_of
from protocol.blocks import BlockPool
from protocol.fields import MAX_BITMAP_BLOCKS
from protocol.messages import (
    MissingBlocks,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    decode_message,
    encode_message,
    topic_of,
)
from protocol.ranges import RangeSet
from protocol.wire import ENCODING_SYMBOL_LENGTH as SYMBOL_LENGTH
from receiver.counters import Counters
from receiver.poison import PoisonWatch
from receiver.reception import Reception
from receiver.repair import RepairTimer
from receiver.reporter import Reporter
from tests.receiver.seat import ROOM_FOR_ONE_BLOCK, K, add_symbols
from tests.sample_messages import TSI, receiver_id, repair_request, report

COUNTERS = Counters(
    bytes_received=1,
    catch_up_bytes=2,
    blocks_to_scan=3,
    blocks_scanned=4,
    buffer_drops=5,
    datagrams_rejected=6,
    buffer_fill_ratio=0.125,
    bytes_written=7,
    disk_busy_ratio=0.5,
    link_bits_per_second=8,
    bytes_to_verify=9,
    bytes_verified=10,
)


def reporter(target: str = "/dev/sda") -> Reporter:
    return Reporter(TSI, receiver_id(1), "seat-1", target)


def reception(pool: BlockPool, block_count: int) -> Reception:
    disk = Reception(1, lambda sbn: K, pool, RepairTimer(random.Random(1), 0.0), 0.0)
    disk.want_all(block_count)
    return disk


def test_a_report_tells_all_counters() -> None:
    pool = BlockPool(4 * ROOM_FOR_ONE_BLOCK, 191, SYMBOL_LENGTH)
    disk = reception(pool, 20)
    disk.found([1, 2])
    disk.find(0, K)
    for sbn in (3, 4):
        being_stored = disk.find(sbn, K)
        assert being_stored is not None
        add_symbols(being_stored.ledger, range(K))
        assert disk.opened(being_stored, 0, 1.0, is_multicast=True)
    disk.first_pass.symbols_expected, disk.first_pass.symbols_lost, disk.first_pass.blocks_repaired = 30, 4, 2
    disk.blocks_without_room = 11
    poison = PoisonWatch()
    poison.block_mismatched()
    poison.block_mismatched()
    poison.symbols_dropped(3)
    told = reporter().report(
        ReceiverState.RECEIVING, "why", COUNTERS, disk, pool, poison=poison, has_manifest=True, has_scanned=False
    )
    assert told == report(
        1,
        1,
        state=ReceiverState.RECEIVING,
        reason="why",
        has_manifest=True,
        has_scanned=False,
        blocks_total=20,
        blocks_missing=18,
        symbols_expected=30,
        symbols_lost=4,
        blocks_repaired=2,
        blocks_without_room=11,
        buffer_fill_ratio=0.5,
        partial_fill_ratio=0.25,
        poisoned_blocks=2,
        poisoned_symbols=3,
        alarm=poison.alarm,
        backlog_bytes=3 * ROOM_FOR_ONE_BLOCK,
        **{name: getattr(COUNTERS, name) for name in Counters.__slots__ if name != "buffer_fill_ratio"},
    )
    assert decode_message(topic_of(told), encode_message(told)) == told


def test_the_kernels_buffer_is_told_where_it_is_the_fuller_one() -> None:
    pool = BlockPool(4 * ROOM_FOR_ONE_BLOCK, 191, SYMBOL_LENGTH)
    told = reporter().report(
        ReceiverState.READY,
        "",
        COUNTERS,
        reception(pool, 1),
        pool,
        poison=PoisonWatch(),
        has_manifest=False,
        has_scanned=False,
    )
    assert told.buffer_fill_ratio == 0.125


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/dev/sda", "/dev/sda"),
        ("/mnt/" + 70 * "x" + "caf\udce9.img", 51 * "x" + "caf\\udce9.img"),
        ("x" * 65, "x" * 64),
    ],
)
def test_what_no_message_can_carry_is_shortened_and_escaped(target: str, shown: str) -> None:
    pool = BlockPool(ROOM_FOR_ONE_BLOCK, 191, SYMBOL_LENGTH)
    told = reporter(target).report(
        ReceiverState.FAILED,
        "caf\udce9: " + 500 * "y",
        Counters(),
        reception(pool, 1),
        pool,
        poison=PoisonWatch(),
        has_manifest=True,
        has_scanned=True,
    )
    assert (told.target, told.reason[:12], len(told.reason)) == (shown, "caf\\udce9: y", 400)
    assert decode_message(topic_of(told), encode_message(told)) == told


def test_each_message_has_the_next_sequence_number() -> None:
    speaking = reporter()
    pool = BlockPool(ROOM_FOR_ONE_BLOCK, 191, SYMBOL_LENGTH)
    said: list[ReceiverReport | RepairRequest | MissingBlocks] = [
        speaking.repair_request(1, ((3, 4),), ((5, 6),), ()),
        speaking.missing_blocks(RangeSet([(0, 2)]), 0, 8),
        speaking.report(
            ReceiverState.READY,
            "",
            Counters(),
            reception(pool, 1),
            pool,
            poison=PoisonWatch(),
            has_manifest=False,
            has_scanned=False,
        ),
        speaking.repair_request(0, (), ((0, 0),), ()),
    ]
    assert [message.sequence for message in said] == [1, 2, 3, 4]
    assert {(message.tsi, message.receiver_id) for message in said} == {(TSI, receiver_id(1))}


def test_missing_blocks_are_those_of_the_part_that_is_told() -> None:
    blocks = RangeSet([(0, 3), (90, 110), (4 * MAX_BITMAP_BLOCKS, 4 * MAX_BITMAP_BLOCKS + 1)])
    told = reporter().missing_blocks(blocks, 100, 50)
    assert (told.first_sbn, told.block_count) == (100, 50)
    assert list(ranges_of(decode_bitmap(told.bitmap, 50)).ranges()) == [(0, 10)]
    whole = reporter().missing_blocks(blocks, 3 * MAX_BITMAP_BLOCKS + 1, MAX_BITMAP_BLOCKS)
    assert list(ranges_of(decode_bitmap(whole.bitmap, MAX_BITMAP_BLOCKS)).ranges()) == [
        (MAX_BITMAP_BLOCKS - 1, MAX_BITMAP_BLOCKS)
    ]
    assert decode_message(topic_of(whole), encode_message(whole)) == whole


def test_a_request_for_repair_is_what_was_collected() -> None:
    told = reporter().repair_request(1, ((3, 4),), ((5, 6),), ((3, b"\x0f"),))
    assert told == repair_request(1, 1, toi=1, deficits=((3, 4),), absent=((5, 6),), missing_symbols=((3, b"\x0f"),))
    assert decode_message(topic_of(told), encode_message(told)) == told
