import asyncio
import os
from pathlib import Path

import pytest

from protocol import PROTOCOL_VERSION
from protocol.errors import TransportError
from protocol.fields import encode_tsi
from protocol.messages import ReceiverState, SessionPhase, announcement_topic
from receiver import lease as sender_lease
from receiver import service
from receiver.arming import PLANNED
from receiver.config import SessionOutcome
from tests.brokers import RunningBroker
from tests.receiver.played_room import BLOCKS, IMAGE, Source, announcement, blocks_of, room, taking_part

pytestmark = [pytest.mark.system, pytest.mark.slow]

OLD = b"\xa5" * len(IMAGE.disk)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.disk"
    path.write_bytes(OLD)
    return path


def content(target: Path) -> bytes:
    return target.read_bytes()


@pytest.mark.asyncio
async def test_a_receiver_says_that_it_comes_and_that_it_goes(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link):
        hello = await operator.next_presence("seat")
        assert hello.is_online
        receiver.say_goodbye()
        goodbye = await operator.next_presence("seat")
        assert (goodbye.receiver_id, goodbye.is_online) == (hello.receiver_id, False)


@pytest.mark.asyncio
async def test_a_session_that_ends_early_leaves_the_target_as_it_was(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        session = announcement()
        operator.announce(session)
        report = await operator.next_report(session)
        assert (report.state, report.seat, report.has_manifest) == (ReceiverState.READY, "seat", False)
        operator.say(session, SessionPhase.ENDED)
        assert await outcome == SessionOutcome(ReceiverState.READY, "the broadcaster ended the session", False)
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_an_unfit_target_is_refused_until_that_is_heard(broker: RunningBroker, target: Path) -> None:
    os.truncate(target, len(OLD) - 1)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        session = announcement()
        operator.announce(session)
        for _ in range(2):
            report = await operator.next_report(session)
            assert report.state is ReceiverState.REFUSED
            assert "is too small" in report.reason
        operator.say(session, SessionPhase.WAITING, report.receiver_id)
        ended = await outcome
        assert (ended.state, ended.is_acknowledged) == (ReceiverState.REFUSED, True)
    assert content(target) == OLD[:-1]


@pytest.mark.asyncio
async def test_the_next_session_is_for_the_disk_that_there_is_by_then(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target.parent / "missing") as (receiver, link, operator):
        for fault, state in (("fits 2 disks", ReceiverState.REFUSED), ("", ReceiverState.READY)):
            receiver.use_target(str(target), fault)
            async with taking_part(receiver, link) as outcome:
                session = announcement()
                operator.announce(session)
                report = await operator.next_report(session)
                assert report.state is state
                assert report.reason == (f"{target}: {fault}" if fault else "")
                operator.say(session, SessionPhase.ENDED)
                await outcome
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_what_is_no_announcement_for_us_is_passed_over(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        await operator.next_presence("seat")
        operator.publish(announcement_topic(encode_tsi(5)), b"{}")
        operator.publish("slatecast/v1/sessions/unheard/of", b"\xff\x00")
        future = announcement(protocol_version=PROTOCOL_VERSION + 1)
        operator.announce(future)
        session = announcement()
        operator.announce(session)
        report = await operator.next_report(session)
        assert report.state is ReceiverState.READY
        operator.say(future, SessionPhase.ENDED)
        assert (await operator.next_report(session)).sequence > report.sequence
        assert not outcome.done()


@pytest.mark.asyncio
async def test_sessions_are_taken_one_after_the_other(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator):
        waiting = [announcement(), announcement()]
        for session in waiting:
            operator.announce(session)
        while waiting:
            async with taking_part(receiver, link) as outcome:
                report = await operator.next_report(*waiting)
                current = next(session for session in waiting if session.tsi == report.tsi)
                operator.say(current, SessionPhase.ENDED)
                assert (await outcome).state is ReceiverState.READY
                waiting.remove(current)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_of_two_sessions_every_receiver_takes_the_same(
    broker: RunningBroker, target: Path, is_reversed: bool
) -> None:
    async with room(broker, target) as (receiver, link, operator):
        first, second = sorted([announcement(), announcement()], key=lambda session: session.tsi)
        operator.announce(*((second, first) if is_reversed else (first, second)))
        async with taking_part(receiver, link) as outcome:
            assert (await operator.next_report(first, second)).tsi == first.tsi
            operator.say(first, SessionPhase.ENDED)
            await outcome
        async with taking_part(receiver, link):
            await operator.next_report(second)


@pytest.mark.asyncio
async def test_a_broadcaster_that_falls_silent_is_left_and_may_come_back(
    broker: RunningBroker, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_lease, "SENDER_LEASE", 0.3)
    async with room(broker, target) as (receiver, link, operator):
        session = announcement()
        for _ in range(2):
            async with taking_part(receiver, link) as outcome:
                operator.announce(session)
                assert await outcome == SessionOutcome(ReceiverState.READY, "the broadcaster fell silent", False)
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_a_group_that_cannot_be_joined_ends_the_receiver(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        operator.announce(announcement(group="192.0.2.1"))
        with pytest.raises(TransportError, match=r"192\.0\.2\.1 is no address for data"):
            await outcome
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_a_broker_that_is_away_ends_no_session(
    broker: RunningBroker, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        session = source.announcement
        operator.announce(session)
        hello = await operator.next_presence("seat")
        operator.say(session, SessionPhase.MANIFEST)
        await operator.next_report(session)
        await broker.stop()
        while link.is_connected:  # noqa: ASYNC110 - nothing but the link knows
            await asyncio.sleep(0.01)
        assert receiver.session is not None
        # While its own link is down it must judge nobody, whatever the lease.
        with monkeypatch.context() as lease:
            lease.setattr(sender_lease, "SENDER_LEASE", 0.0)
            turns = set[float]()
            while len(turns) < 4 and not outcome.done():
                turns.add(receiver.session.next_timeout())
                await asyncio.sleep(0.01)
            assert not outcome.done()
            assert not receiver.session.has_lost_sender
        await broker.start()
        # The broker came back empty.
        again = await operator.next_presence("seat")
        assert (again.receiver_id, again.is_online) == (hello.receiver_id, True)
        report = await operator.next_report(session)
        assert report.state is ReceiverState.READY
        operator.say(session, SessionPhase.ENDED)
        assert await outcome == SessionOutcome(ReceiverState.READY, "the broadcaster ended the session", False)
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_a_receiver_keeps_its_name_over_sessions_and_another_has_another(
    broker: RunningBroker, target: Path
) -> None:
    names = []
    sessions = [announcement(), announcement()]
    for _ in range(2):
        waiting = {session.tsi: session for session in sessions}
        async with room(broker, target) as (receiver, link, operator):
            for session in sessions:
                operator.announce(session)
            while waiting:
                async with taking_part(receiver, link) as outcome:
                    report = await operator.next_report(*waiting.values())
                    names.append(report.receiver_id)
                    operator.say(waiting.pop(report.tsi), SessionPhase.ENDED)
                    await outcome
    assert names[0] == names[1] != names[2] == names[3]


@pytest.mark.asyncio
async def test_a_planned_session_is_written_when_the_operator_starts_it(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        session = source.announcement
        operator.announce(session, may_write=False)
        operator.say(session, SessionPhase.MANIFEST)
        first = await operator.next_report(session)
        assert (first.state, first.reason) == (ReceiverState.PLANNED, PLANNED)
        source.multicast_manifest()
        await operator.next_report(session, until=lambda report: report.has_scanned)
        assert blocks_of(await operator.next_inventory(session)) == set(BLOCKS)
        source.multicast(1, BLOCKS)
        operator.order(session, may_write=False)
        await operator.next_report(session)
        assert content(target) == OLD
        operator.order(session, may_write=True)
        operator.order(session, may_write=False)
        await operator.next_report(session, until=lambda report: report.state is ReceiverState.RECEIVING)
        operator.say(session, SessionPhase.DISK)
        source.multicast(1, BLOCKS)
        done = await operator.next_report(session, until=lambda report: report.state.is_final)
        assert done.state is ReceiverState.VERIFIED
        operator.say(session, SessionPhase.DISK, done.receiver_id)
        assert (await outcome).state is ReceiverState.VERIFIED
    assert IMAGE.is_on(content(target))


@pytest.mark.asyncio
async def test_a_plan_that_is_dropped_writes_nothing_and_cannot_be_written_later(
    broker: RunningBroker, target: Path
) -> None:
    async with room(broker, target) as (receiver, link, operator):
        source = Source(announcement())
        session, other = source.announcement, announcement()
        async with taking_part(receiver, link) as outcome:
            operator.announce(session, may_write=False)
            await operator.next_report(session)
            operator.say(session, SessionPhase.ENDED)
            ended = await outcome
            assert ended == SessionOutcome(ReceiverState.PLANNED, "the broadcaster ended the session", False)
        async with taking_part(receiver, link):
            operator.announce(session)
            operator.announce(other)
            assert (await operator.next_report(session, other)).tsi == other.tsi
    assert content(target) == OLD


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["seat", "operator"])
async def test_what_was_stopped_while_it_was_planned_is_not_begun_by_a_later_order(
    broker: RunningBroker, target: Path, by: str
) -> None:
    async with room(broker, target) as (receiver, link, operator):
        session, other = announcement(), announcement()
        async with taking_part(receiver, link) as outcome:
            operator.announce(session, may_write=False)
            first = await operator.next_report(session)
            assert receiver.session is not None
            if by == "seat":
                assert receiver.session.abort(asyncio.get_running_loop().time())
            else:
                operator.say(session, SessionPhase.MANIFEST, dismissed=(first.receiver_id,))
            final = await operator.next_report(session, until=lambda report: report.state.is_final)
            assert final.state is ReceiverState.REFUSED
            operator.order(session, may_write=True)
            operator.say(session, SessionPhase.MANIFEST, final.receiver_id)
            assert (await outcome).is_acknowledged
        async with taking_part(receiver, link):
            operator.announce(session)
            operator.announce(other)
            assert (await operator.next_report(session, other)).tsi == other.tsi
    assert content(target) == OLD


@pytest.mark.asyncio
async def test_a_receiver_says_which_machine_it_is(broker: RunningBroker, target: Path) -> None:
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link):
        assert (await operator.next_presence("seat")).machine == "seat"


@pytest.mark.asyncio
async def test_a_session_that_is_for_others_is_not_asked_about_for_ever(
    broker: RunningBroker, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TICKET_INTERVAL", 0.01)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link):
        await operator.next_presence("seat")
        for _ in range(2):
            operator.announce_to_all(announcement())
            for _ in range(service.TICKET_TRIES):
                await operator.next_presence("seat")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await operator.next_presence("seat")
