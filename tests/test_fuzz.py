"""Hostile input, well-formed and not: nothing may leave but the documented errors, and no work may be without bound."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.rate import RateControl
from broadcaster.report import build_report
from broadcaster.session import SenderSession, StartPolicy
from broadcaster.transmission import TransferObject
from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT
from protocol.errors import WireError
from protocol.messages import (
    MAX_REPAIR_ENTRIES,
    Message,
    ReceiverState,
    SessionPhase,
    decode_message,
    encode_message,
    topic_of,
)
from protocol.wire import HEADER, MAGIC, TAG_LENGTH, decode_header
from receiver.session import BlockDecodable, ObjectCompleted, ReceiverSession
from tests.receiver.test_session import K, manifest_of
from tests.sample_messages import (
    OTHER_TSI,
    TSI,
    announcement,
    presence,
    receiver_id,
    repair_request,
    report,
    status,
)

pytestmark = pytest.mark.slow

BLOCKS = 20
COUNT = st.integers(0, 1 << 62) | st.integers(0, 300)
SBN = st.integers(0, (1 << 32) - 1) | st.integers(0, BLOCKS + 2)
SESSION = st.sampled_from([TSI, TSI, TSI, OTHER_TSI])
SEAT = st.integers(0, 5)

FROM_RECEIVERS: st.SearchStrategy[Message] = st.one_of(
    st.builds(lambda seat, *, online: presence(seat, is_online=online), SEAT, online=st.booleans()),
    st.builds(
        report,
        SEAT,
        COUNT,
        tsi=SESSION,
        state=st.sampled_from(ReceiverState),
        has_manifest=st.booleans(),
        blocks_total=COUNT,
        blocks_missing=COUNT,
        bytes_received=COUNT,
        symbols_expected=COUNT,
        symbols_lost=COUNT,
        backlog_bytes=COUNT,
        buffer_fill_ratio=st.floats(0, 1),
        bytes_verified=COUNT,
    ),
    st.builds(
        repair_request,
        SEAT,
        COUNT,
        tsi=SESSION,
        toi=st.integers(0, 1),
        deficits=st.lists(st.tuples(SBN, st.integers(1, 191)), max_size=6).map(tuple),
        absent=st.lists(st.tuples(SBN, SBN), max_size=6).map(tuple),
    ),
)
FROM_BROADCASTERS: st.SearchStrategy[Message] = st.one_of(
    st.just(announcement()),
    st.builds(
        status,
        COUNT,
        tsi=SESSION,
        phase=st.sampled_from(SessionPhase),
        position=SBN,
        settled=st.lists(SEAT.map(receiver_id), max_size=3).map(tuple),
    ),
)
ANYTHING = FROM_RECEIVERS | FROM_BROADCASTERS
STEPS = st.lists(st.tuples(st.floats(0, 20), ANYTHING), max_size=60)


@given(st.binary(max_size=200))
def test_fuzz_any_bytes_are_a_datagram_header_or_a_wire_error(data: bytes) -> None:
    for datagram in (data, HEADER.pack(MAGIC, 1, 1, 0, 0, 1, 0)[: len(data)] + data):
        try:
            header = decode_header(datagram)
        except WireError:
            continue
        assert len(datagram) > HEADER.size + TAG_LENGTH
        assert header.payload_id.esi < header.payload_id.source_block_length + 64


@given(STEPS, st.booleans())
def test_fuzz_the_sender_survives_whatever_is_said(steps: list[tuple[float, Message]], has_begun: bool) -> None:
    now = 0.0
    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(2, lambda sbn: 3),
        disk_object=TransferObject(BLOCKS, lambda sbn: K),
        policy=StartPolicy(2, 30.0),
        rate=RateControl(900_000_000, now),
        now=now,
    )
    if has_begun:
        for number in (4, 5):
            session.receive_message(report(number), now)
        while (transmission := session.next_transmission(now)) is not None:
            session.transmitted(transmission, now)
        for number in (4, 5):
            session.receive_message(report(number, 2, state=ReceiverState.RECEIVING, has_manifest=True), now)
        assert session.phase is SessionPhase.DISK
    for pause, message in steps:
        now += pause
        phase = list(SessionPhase).index(session.phase)
        session.receive_message(message, now)
        for _ in range(5):
            transmission = session.next_transmission(now)
            if transmission is None:
                break
            assert 0 <= transmission.sbn < (2, BLOCKS)[transmission.toi]
            assert len(transmission.esis) > 0
            assert transmission.esis.stop <= transmission.source_block_length + 64
            session.transmitted(transmission, now)
        while (said := session.next_message(now)) is not None:
            assert decode_message(topic_of(said), encode_message(said)) == said
        assert session.next_timeout() > now
        assert list(SessionPhase).index(session.phase) >= phase
        assert 0 < session.rate.rate_bits_per_second <= 900_000_000
        build_report(session, bytes_on_wire=0, expected_seats=2, now=now)


ESIS = st.lists(st.integers(0, 254), min_size=1, max_size=12) | st.just(list(range(K)))
DATAGRAMS = st.one_of(
    st.tuples(st.just(1), st.integers(0, BLOCKS - 1), st.just(K), ESIS),
    st.tuples(st.just(0), st.just(0), st.just(2), ESIS),
    st.tuples(st.integers(0, 1), SBN, st.sampled_from([K, 2, 1, 191]), ESIS),
)
"""toi, sbn, K and esis of what comes out of the seal"""

VERBS = st.sampled_from(["store", "store", "store", "store", "reject", "fail", "damage"])
WORK = st.lists(st.tuples(st.floats(0, 2), st.one_of(ANYTHING, DATAGRAMS, DATAGRAMS, VERBS)), max_size=80)


@given(WORK, st.sampled_from([1, 100_000_000]), st.booleans())
def test_fuzz_the_receiver_survives_whatever_arrives(
    steps: list[tuple[float, Message | str | tuple[int, int, int, list[int]]]], buffer_limit: int, has_manifest: bool
) -> None:
    now = 0.0
    session = ReceiverSession(
        announcement(),
        receiver_id=receiver_id(1),
        seat="seat-1",
        target="/dev/sda",
        rng=random.Random(1),
        now=now,
        buffer_limit=buffer_limit,
    )
    if has_manifest:
        arrive(session, 0, 0, 2, [0, 1], now=now)
        for _ in range(2):
            work(session, "store", now)
        assert session.state is ReceiverState.RECEIVING
    for pause, step in steps:
        now += pause
        if isinstance(step, tuple):
            arrive(session, *step, now=now)
        elif isinstance(step, str):
            work(session, step, now)
        else:
            session.receive_message(step, now)
        while (said := session.next_message(now)) is not None:
            assert decode_message(topic_of(said), encode_message(said)) == said
        assert session.counters.symbols_lost <= session.counters.symbols_expected <= BLOCKS * K
        assert 0 <= session.blocks_missing <= session.blocks_total
        assert session.backlog_bytes <= max(191 * 1416, buffer_limit)


def arrive(session: ReceiverSession, toi: int, sbn: int, k: int, esis: list[int], *, now: float) -> None:
    """What the seal does with authentic symbols."""
    found = session.find_block(toi, sbn, k)
    if found is not None:
        ledger = found[1]
        for esi in esis:
            if esi >= k + 64 or ledger[esi] or ledger[SYMBOL_COUNT] == k:
                continue
            ledger[esi] = 1
            ledger[SYMBOL_COUNT] += 1
            if esi >= k:
                ledger[REPAIR_ESIS + ledger[REPAIR_COUNT]] = esi
                ledger[REPAIR_COUNT] += 1
    session.batch_opened(1450 * len(esis), now)


def work(session: ReceiverSession, verb: str, now: float) -> None:
    """What the worker does with the next event, as far as its contract lets it choose."""
    if verb in ("fail", "damage"):
        {"fail": session.failed, "damage": session.damaged}[verb]("the disk is gone", now)
        return
    event = session.next_event()
    if isinstance(event, BlockDecodable):
        assert event.block.deficit == 0
        if verb == "store":
            session.block_stored(event.block, now)
        else:
            session.block_rejected(event.block)
    elif isinstance(event, ObjectCompleted) and not session.state.is_final:
        if event.toi == 0:
            session.manifest_loaded(manifest_of(BLOCKS), now)
        elif verb == "store":
            session.verified(now)
        else:
            session.read_back_failed([0, BLOCKS - 1], now)


def test_requests_of_any_size_cost_a_sender_what_they_are_long() -> None:
    # A million blocks, and 200 seats that each ask for all of them in the most expensive way, 100 times.
    looked_up = 0

    def source_block_length(sbn: int) -> int:
        nonlocal looked_up
        looked_up += 1
        return K

    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda sbn: 1),
        disk_object=TransferObject(1_000_000, source_block_length),
        policy=StartPolicy(1, 30.0),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )
    say: Callable[[Message], None] = lambda message: session.receive_message(message, 1.0)  # noqa: E731 - four calls
    say(report(1))
    session.transmitted(session.next_transmission(1.0), 1.0)  # type: ignore[arg-type]  # there is one
    say(report(1, sequence=2, has_manifest=True, state=ReceiverState.RECEIVING))
    for _ in range(1000):
        session.transmitted(session.next_transmission(1.0), 1.0)  # type: ignore[arg-type]  # there is one
    before = looked_up
    everything = ((0, (1 << 32) - 1),) * MAX_REPAIR_ENTRIES
    for sequence in range(100):
        say(repair_request(1, sequence=sequence, absent=everything, deficits=((5, 191),) * MAX_REPAIR_ENTRIES))
    assert looked_up == before
