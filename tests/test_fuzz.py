"""Hostile input, well-formed and not: nothing may leave but the documented errors, and no work may be without bound."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.report import build_report
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT
from protocol.errors import WireError
from protocol.fields import MAX_REPAIR_ENTRIES
from protocol.messages import (
    Message,
    ReceiverState,
    SessionPhase,
    SessionStatus,
    decode_message,
    encode_message,
    topic_of,
)
from protocol.wire import HEADER, MAGIC, TAG_LENGTH, TOI_DISK, TOI_MANIFEST, decode_header
from receiver.arming import Arming
from receiver.events import BlockDecodable, ObjectCompleted
from receiver.session import ReceiverSession
from tests.receiver.seat import K, manifest_of
from tests.sample_messages import (
    OTHER_TSI,
    TSI,
    announcement,
    missing_blocks,
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
        blocks_to_scan=COUNT,
        blocks_scanned=COUNT,
        has_scanned=st.booleans(),
        bytes_received=COUNT,
        catch_up_bytes=COUNT,
        symbols_expected=COUNT,
        symbols_lost=COUNT,
        backlog_bytes=COUNT,
        blocks_without_room=COUNT,
        buffer_fill_ratio=st.floats(0, 1),
        partial_fill_ratio=st.floats(0, 1),
        bytes_written=COUNT,
        disk_busy_ratio=st.floats(0, 1),
        link_bits_per_second=COUNT,
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
        missing_symbols=st.lists(st.tuples(SBN, st.binary(max_size=24)), max_size=6).map(tuple),
    ),
    st.builds(
        missing_blocks,
        SEAT,
        COUNT,
        tsi=SESSION,
        ranges=st.lists(st.tuples(st.integers(0, BLOCKS), st.integers(0, BLOCKS)), max_size=4),
        block_count=st.sampled_from([BLOCKS, BLOCKS, BLOCKS, BLOCKS - 1, 300]),
    ),
    st.builds(
        missing_blocks,
        SEAT,
        COUNT,
        tsi=SESSION,
        ranges=st.just([]),
        block_count=st.just(BLOCKS),
        first_sbn=SBN,
        bitmap=st.binary(max_size=40),
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
        catch_up=st.lists(SEAT.map(receiver_id), max_size=3).map(tuple),
        must_leave_group=st.lists(SEAT.map(receiver_id), max_size=3).map(tuple),
    ),
)
ANYTHING = FROM_RECEIVERS | FROM_BROADCASTERS


@given(st.binary(max_size=200))
def test_fuzz_any_bytes_are_a_datagram_header_or_a_wire_error(data: bytes) -> None:
    for datagram in (data, HEADER.pack(MAGIC, 1, 1, 0, 0, 1, 0)[: len(data)] + data):
        try:
            header = decode_header(datagram)
        except WireError:
            continue
        assert len(datagram) > HEADER.size + TAG_LENGTH
        assert header.payload_id.esi < header.payload_id.source_block_length + 64


CONTROL = st.sampled_from(["lost", "restored", "damaged"])
SENDER_STEPS = st.lists(st.tuples(st.floats(0, 20), ANYTHING | CONTROL), max_size=60)


@given(SENDER_STEPS, st.booleans(), st.booleans())
def test_fuzz_the_sender_survives_whatever_is_said(
    steps: list[tuple[float, Message | str]], has_begun: bool, has_catch_up: bool
) -> None:
    now = 0.0
    nonsense: list[str] = []
    session = SenderSession(
        announcement(catch_up_url="http://192.0.2.1:7001" if has_catch_up else ""),
        manifest_object=TransferObject(2, lambda sbn: 3),
        disk_object=TransferObject(BLOCKS, lambda sbn: K),
        policy=StartPolicy(2, 30.0),
        rate=RateControl(900_000_000, now),
        now=now,
        on_nonsense=lambda who, _: nonsense.append(who),
    )
    if has_begun:
        begin(session, now)
    for pause, step in steps:
        now += pause
        phase = list(SessionPhase).index(session.phase)
        if isinstance(step, str):
            disturb(session, step, now)
        else:
            session.receive_message(step, now)
        for _ in range(5):
            transmission = session.next_transmission(now)
            if transmission is None:
                break
            assert 0 <= transmission.sbn < (2, BLOCKS)[transmission.toi]
            assert transmission.toi == TOI_MANIFEST or transmission.sbn not in session.damaged
            assert len(transmission.esis) > 0
            assert max(transmission.esis) < transmission.source_block_length + 64
            session.transmitted(transmission, now)
        while (said := session.next_message(now)) is not None:
            assert decode_message(topic_of(said), encode_message(said)) == said
            if isinstance(said, SessionStatus):
                assert set(said.must_leave_group) <= set(said.catch_up)
                assert not set(said.catch_up) & set(said.settled)
        assert session.next_timeout() > now
        assert list(SessionPhase).index(session.phase) >= phase
        assert 0 < session.rate.rate_bits_per_second <= 900_000_000
        plan = session.plan(TOI_DISK)
        assert 0 <= plan.position <= BLOCKS
        assert plan.departed_count <= plan.planned_count <= BLOCKS
        build_report(session, bytes_on_wire=0, catch_up_bytes=0, earlier_seconds=0.0, expected_seats=2, now=now)
    assert set(nonsense) <= {receiver_id(number) for number in range(6)}


def begin(session: SenderSession, now: float) -> None:
    """Two seats that miss everything hold the manifest."""
    for number in (4, 5):
        session.receive_message(report(number), now)
    while (transmission := session.next_transmission(now)) is not None:
        session.transmitted(transmission, now)
    for number in (4, 5):
        holding = report(number, 2, state=ReceiverState.RECEIVING, has_manifest=True, has_scanned=True)
        session.receive_message(holding, now)
        session.receive_message(missing_blocks(number, 3, ranges=[(0, BLOCKS)], block_count=BLOCKS), now)
    assert session.phase is SessionPhase.DISK


def disturb(session: SenderSession, what: str, now: float) -> None:
    """What the service around a session may tell it at any moment."""
    if what == "lost":
        session.control_lost(now)
    elif what == "restored":
        session.control_restored(now)
    elif (transmission := session.next_transmission(now)) is not None:
        if transmission.toi == TOI_DISK:
            session.cannot_send(transmission.toi, transmission.sbn, "damaged", now)
        else:
            session.transmitted(transmission, now)


ESIS = st.lists(st.integers(0, 254), min_size=1, max_size=12) | st.just(list(range(K)))
DATAGRAMS = st.one_of(
    st.tuples(st.just(1), st.integers(0, BLOCKS - 1), st.just(K), ESIS),
    st.tuples(st.just(0), st.just(0), st.just(2), ESIS),
    st.tuples(st.integers(0, 1), SBN, st.sampled_from([K, 2, 1, 191]), ESIS),
)
"""toi, sbn, K and esis of what comes out of the seal"""

VERBS = st.sampled_from([*4 * ["store"], *3 * ["fetch"], "reject", "fail", "damage", "scan", "lost", "restored"])
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
        arming=Arming(0.0, now, is_held=False),
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
        while (message := session.next_message(now)) is not None:
            assert decode_message(topic_of(message), encode_message(message)) == message
        assert session.first_pass.symbols_lost <= session.first_pass.symbols_expected <= BLOCKS * K
        assert 0 <= session.blocks_missing <= session.blocks_total
        assert session.backlog_bytes <= max(191 * 1416, buffer_limit)


def arrive(session: ReceiverSession, toi: int, sbn: int, k: int, esis: list[int], *, now: float) -> None:
    """A batch of the group."""
    open_symbols(session, toi, sbn, k, esis)
    session.batch_opened(1450 * len(esis), now)


def open_symbols(session: ReceiverSession, toi: int, sbn: int, k: int, esis: list[int]) -> None:
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


def fetch(session: ReceiverSession, now: float) -> None:
    """What the catch-up lane does with the next want: every third is damaged at the broadcaster."""
    want = session.next_want(now)
    if want is None:
        return
    assert want.toi == TOI_MANIFEST or want.sbn < BLOCKS
    if want.toi == TOI_DISK and want.sbn % 3 == 0:
        session.want_unavailable(want)
        return
    k = 2 if want.toi == TOI_MANIFEST else K
    esis = list(range(k) if want.esis is None else want.esis)
    open_symbols(session, want.toi, want.sbn, k, esis)
    session.want_fetched(want, 1450 * len(esis), now)


def work(session: ReceiverSession, verb: str, now: float) -> None:
    """What the worker does with the next event, as far as its contract lets it choose."""
    if verb in ("fail", "damage"):
        {"fail": session.failed, "damage": session.damaged}[verb]("the disk is gone", now)
        return
    if verb in ("lost", "restored"):
        {"lost": session.control_lost, "restored": session.control_restored}[verb](now)
        return
    if verb == "scan":
        if session.state is ReceiverState.RECEIVING and not session.has_scanned:
            session.blocks_found([1, BLOCKS - 1], now)
            session.scan_ended(now)
        return
    if verb == "fetch":
        fetch(session, now)
        return
    event = session.next_event()
    if isinstance(event, BlockDecodable):
        assert event.block.deficit == 0
        if verb == "store":
            session.block_stored(event.block, now)
        else:
            session.block_rejected(event.block, now)
    elif isinstance(event, ObjectCompleted) and not session.state.is_final:
        if event.toi == TOI_MANIFEST:
            session.manifest_loaded(manifest_of(BLOCKS), now)
        elif verb == "store":
            session.verified(now)
        else:
            session.read_back_failed([0, BLOCKS - 1], now)


def test_requests_of_any_size_cost_a_sender_what_they_are_long() -> None:
    # A million blocks, and a seat that asks for all of them in the most expensive way, 100 times.
    looked_up, blocks = 0, 1_000_000

    def source_block_length(sbn: int) -> int:
        nonlocal looked_up
        looked_up += 1
        return K

    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda sbn: 1),
        disk_object=TransferObject(blocks, source_block_length),
        policy=StartPolicy(1, 30.0),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )
    say: Callable[[Message], None] = lambda message: session.receive_message(message, 1.0)  # noqa: E731 - six calls
    say(report(1))
    session.transmitted(session.next_transmission(1.0), 1.0)  # type: ignore[arg-type]  # there is one
    say(report(1, sequence=2, has_manifest=True, has_scanned=True, state=ReceiverState.RECEIVING))
    say(missing_blocks(1, sequence=3, ranges=[(0, blocks)], block_count=blocks))
    for _ in range(1000):
        session.transmitted(session.next_transmission(1.0), 1.0)  # type: ignore[arg-type]  # there is one
    everything = ((0, blocks - 1),) * MAX_REPAIR_ENTRIES
    beyond = ((0, (1 << 32) - 1),) * MAX_REPAIR_ENTRIES
    for absent in (everything, beyond):
        before = looked_up
        for sequence in range(100):
            say(repair_request(1, sequence=sequence, absent=absent, deficits=((5, K),) * MAX_REPAIR_ENTRIES))
        assert looked_up - before <= 100 * MAX_REPAIR_ENTRIES  # one for each deficit that is checked
