import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from broadcaster import cast_record as module
from broadcaster.cast_record import MAX_GROUP_TRIES, CastRecord
from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.saved_cast import CastStore, SavedCast
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.errors import TransportError
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress
from protocol.link.multicast import group_for
from protocol.manifest import Manifest, build_manifest
from protocol.messages import ReceiverState
from tests.certified import signed_certificate
from tests.protocol.test_manifest import HEADER, stored_chunk
from tests.sample_messages import announcement, receiver_id, report

INTERFACE = InterfaceInfo("eth0", 2, "192.0.2.7", "2001:db8::7", 1500, 1_000_000_000, False, False)
BROKER = BrokerAddress("192.0.2.7", 1884)


@pytest.fixture
def store(tmp_path: Path) -> CastStore:
    return CastStore(tmp_path / "casts")


@pytest.fixture
def manifest() -> Manifest:
    return build_manifest(HEADER, [stored_chunk(5, b"five")])


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups that were listened to; nobody sends to any."""
    groups: list[str] = []

    def listen(_interface: object, group: str, _port: int, _seconds: float) -> bool:
        groups.append(group)
        return False

    monkeypatch.setattr(module, "listen_for_foreign", listen)
    return groups


def session_of(record: CastRecord, now: float = 0.0, *, is_held: bool = False) -> SenderSession:
    return SenderSession(
        announcement(tsi=record.tsi_text, catch_up_url="http://192.0.2.7:7001"),
        manifest_object=TransferObject(1, lambda sbn: 2),
        disk_object=TransferObject(1, lambda sbn: 2),
        policy=StartPolicy(1, 30.0),
        rate=RateControl(900_000_000, now),
        now=now,
        generation=record.generation,
        is_held=is_held,
    )


def snapshot(record: CastRecord, session: SenderSession, now: float = 0.0, **changes: Any) -> SavedCast:
    state: dict[str, Any] = {"expected_seats": 1, "bytes_on_wire": 0, "catch_up_bytes": 0, **changes}
    lane: Any = SimpleNamespace(url="http://192.0.2.7:7001")
    return record.snapshot(session, interface=INTERFACE, broker=BROKER, lane=lane, now=now, **state)


def killed(store: CastStore, manifest: Manifest, *, now: float = 0.0, **changes: Any) -> CastRecord:
    """A cast with one seat that receives, as its process left it behind."""
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=False)
    session = session_of(record)
    session.receive_message(report(1, 7, tsi=record.tsi_text, state=ReceiverState.RECEIVING), 0.0)
    (seat,) = session.roster.seats()
    seat.was_slow_because = "disk 12 MB/s"
    session.datagrams_sent, session.repair_datagrams = 500, 20
    record.save(snapshot(record, session, now, **changes))
    assert record._open is not None
    record._open.close()
    return record


def resumed(store: CastStore, manifest: Manifest) -> CastRecord:
    earlier = store.find(manifest.digest, INTERFACE.name)
    assert earlier is not None
    return CastRecord(store, manifest, earlier)


def test_every_new_cast_has_a_number_secret_and_group_of_its_own(store: CastStore, manifest: Manifest) -> None:
    first, second = (CastRecord(store, manifest, None) for _ in range(2))
    assert first.tsi != second.tsi
    assert first.session_secret != second.session_secret
    assert len(first.session_secret) == 32
    assert (first.generation, first.resumed, first.broker_port, first.catch_up_port) == (1, None, None, None)
    assert (first.earlier_seconds, first.earlier_bytes, first.earlier_catch_up_bytes) == (0, 0, 0)


@pytest.mark.parametrize("use_ipv6", [False, True])
def test_a_group_that_is_taken_is_passed_over(
    store: CastStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, use_ipv6: bool
) -> None:
    asked: list[str] = []

    def listen(_interface: object, group: str, _port: int, _seconds: float) -> bool:
        asked.append(group)
        return len(asked) <= 2

    monkeypatch.setattr(module, "listen_for_foreign", listen)
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=use_ipv6)
    assert record.group == asked[2]
    assert asked == [group_for(record.tsi + attempt, ipv6=use_ipv6) for attempt in range(3)]


def test_when_all_groups_are_taken_it_says_so(
    store: CastStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "listen_for_foreign", lambda *_: True)
    with pytest.raises(TransportError, match=f"all of {MAX_GROUP_TRIES} group addresses are taken"):
        CastRecord(store, manifest, None).choose_group(INTERFACE, use_ipv6=False)


def test_a_resumed_cast_is_the_same_cast(store: CastStore, manifest: Manifest, heard: list[str]) -> None:
    first = killed(store, manifest, now=0.0, bytes_on_wire=12_345, catch_up_bytes=678)
    heard.clear()
    second = resumed(store, manifest)
    second.choose_group(INTERFACE, use_ipv6=False)
    assert heard == []  # its own datagrams may still be on their way
    assert (second.tsi, second.session_secret, second.group) == (first.tsi, first.session_secret, first.group)
    assert (second.broker_port, second.catch_up_port) == (1884, 7001)
    assert (second.earlier_bytes, second.earlier_catch_up_bytes) == (12_345, 678)


def test_its_session_has_the_counters_and_seats_of_before(store: CastStore, manifest: Manifest) -> None:
    killed(store, manifest)
    record = resumed(store, manifest)
    session = session_of(record, 50.0)
    record.restore(session, 50.0)
    assert (session.datagrams_sent, session.repair_datagrams) == (500, 20)
    (seat,) = session.roster.seats()
    assert (seat.report.receiver_id, seat.report.sequence) == (receiver_id(1), 7)
    assert (seat.heard_at, seat.was_slow_because, seat.is_on_catch_up) == (50.0, "disk 12 MB/s", False)


def test_the_certificates_of_seats_that_were_done_are_kept(store: CastStore, manifest: Manifest) -> None:
    kept = (signed_certificate(1), signed_certificate(2))
    assert killed(store, manifest, certificates=kept).certificates == ()
    assert resumed(store, manifest).certificates == kept


def test_a_new_cast_has_nothing_to_restore(store: CastStore, manifest: Manifest) -> None:
    record = CastRecord(store, manifest, None)
    session = session_of(record)
    record.restore(session, 0.0)
    assert (session.datagrams_sent, len(session.roster)) == (0, 0)


def test_each_start_counts_even_when_it_is_killed_at_once(store: CastStore, manifest: Manifest) -> None:
    generations = [killed(store, manifest).generation]
    for _ in range(3):
        record = resumed(store, manifest)
        generations.append(record.generation)
        record.save(snapshot(record, session_of(record)))  # before anything is said
        assert record._open is not None
        record._open.close()
    assert generations == sorted(set(generations))


def test_the_time_of_all_runs_adds_up(store: CastStore, manifest: Manifest) -> None:
    killed(store, manifest)
    for earlier in (0.0, 30.0, 60.0):
        record = resumed(store, manifest)
        assert record.earlier_seconds == earlier
        session = session_of(record, 100.0)
        session.started_at = 100.0
        record.save(snapshot(record, session, 130.0, bytes_on_wire=int(earlier) + 1))
        assert record._open is not None
        record._open.close()


def test_time_alone_is_not_worth_a_write(store: CastStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=False)
    session = session_of(record)
    session.started_at = 0.0
    record.save(snapshot(record, session, 1.0))
    saved: list[SavedCast] = []
    assert record._open is not None
    monkeypatch.setattr(record._open, "save", saved.append)
    record.save(snapshot(record, session, 2.0))
    assert saved == []
    record.save(snapshot(record, session, 3.0, bytes_on_wire=1))
    assert [state.elapsed_seconds for state in saved] == [3.0]


def test_a_cast_that_has_ended_is_not_resumed_and_not_saved_again(store: CastStore, manifest: Manifest) -> None:
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=False)
    state = snapshot(record, session_of(record))
    record.save(state)
    record.finish()
    record.save(state)
    assert store.find(manifest.digest, INTERFACE.name) is None


def test_a_cast_that_ends_before_it_was_saved_leaves_nothing(store: CastStore, manifest: Manifest) -> None:
    record = CastRecord(store, manifest, None)
    record.finish()
    assert store.find(manifest.digest, INTERFACE.name) is None


def test_without_a_catch_up_lane_there_is_no_port_to_keep(store: CastStore, manifest: Manifest) -> None:
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=True)
    lane: Any = SimpleNamespace(url="")
    state = record.snapshot(
        session_of(record),
        interface=INTERFACE,
        broker=BROKER,
        lane=lane,
        expected_seats=1,
        bytes_on_wire=0,
        catch_up_bytes=0,
        now=0.0,
    )
    assert (state.catch_up_port, state.use_ipv6) == (None, True)


@pytest.mark.parametrize("is_held", [False, True])
def test_a_session_is_after_a_restart_what_it_was(store: CastStore, manifest: Manifest, is_held: bool) -> None:
    record = CastRecord(store, manifest, None, hosting=b"room 3")
    record.choose_group(INTERFACE, use_ipv6=False)
    assert record.is_held(is_held) is is_held
    session = session_of(record, is_held=is_held)
    for number in (1, 2, 3):
        session.receive_message(report(number, 7, tsi=record.tsi_text, state=ReceiverState.RECEIVING), 0.0)
    session.dismiss(receiver_id(2), 1.0)
    session.move_to_catch_up(receiver_id(3), 1.0)
    session.pause(1.0)
    record.save(snapshot(record, session, 1.0, dismissed_machines=frozenset({"pc-2"})))
    record.close()
    (earlier,) = store.find_hosted()
    again = CastRecord(store, manifest, earlier)
    assert (again.hosting, again.dismissed_machines) == (b"room 3", ("pc-2",))
    for asked in (False, True):
        assert again.is_held(asked) is is_held
    session = session_of(again, 100.0, is_held=again.is_held(False))
    again.restore(session, 100.0)
    assert (session.is_held, session.is_paused) == (is_held, True)
    assert session.roster.dismissed_ids() == (receiver_id(2),)
    assert session.moved_ids() == session.roster.catch_up_ids() == (receiver_id(3),)


@pytest.mark.asyncio
async def test_a_session_that_is_suspended_is_there_for_the_next_process(store: CastStore, manifest: Manifest) -> None:
    record = CastRecord(store, manifest, None)
    record.choose_group(INTERFACE, use_ipv6=False)
    session = session_of(record)
    state = lambda: snapshot(record, session)  # noqa: E731 - what ``kept`` asks
    async with record.kept(state, lambda saved: None, asyncio.Event()):
        assert store.find(manifest.digest, INTERFACE.name) is None  # it is ours
        session.datagrams_sent = 77
        record.suspend()
    earlier = store.find(manifest.digest, INTERFACE.name)
    assert earlier is not None
    assert earlier.saved.datagrams_sent == 77
