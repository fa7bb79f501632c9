import asyncio
import random
from pathlib import Path

import pytest

from broadcaster.encoder import SealedSymbols
from broadcaster.transmission import Transmission
from protocol.messages import ReceiverReport, ReceiverState, SessionPhase
from receiver.config import SessionOutcome
from tests.brokers import RunningBroker
from tests.receiver.played_room import (
    BLOCKS,
    IMAGE,
    Operator,
    Source,
    announcement,
    blocks_of,
    catch_up_lane,
    room,
    taking_part,
)
from tests.simulator.image import CHUNK_SIZE

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.asyncio,
    pytest.mark.parametrize("broker", ["amqtt"], indirect=True),
]

FOREIGN = b"\xa5" * len(IMAGE.disk)
CHANGED = {0, 3, 7, len(BLOCKS) // 2, len(BLOCKS) - 1}


def with_blocks_changed(sbns: set[int]) -> bytes:
    """The image with other bytes where these blocks are: an earlier version of it."""
    disk = bytearray(IMAGE.disk)
    for sbn in sbns:
        disk[IMAGE.manifest[sbn].offset + CHUNK_SIZE // 2] ^= 0xFF
    assert IMAGE.missing_on(bytes(disk)) == sbns
    return bytes(disk)


def target_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "target.disk"
    path.write_bytes(content)
    return path


def content(target: Path) -> bytes:
    return target.read_bytes()


async def receive_manifest(operator: Operator, source: Source) -> ReceiverReport:
    """Announce the session and send object 0 by multicast."""
    operator.announce(source.announcement)
    await operator.next_report(source.announcement)
    operator.say(source.announcement, SessionPhase.MANIFEST)
    source.multicast_manifest()
    return await operator.next_report(source.announcement, until=lambda report: report.has_manifest)


async def see_it_verified(
    operator: Operator, source: Source, outcome: "asyncio.Task[SessionOutcome]", target: Path
) -> ReceiverReport:
    report = await operator.next_report(source.announcement, until=lambda report: report.state.is_final)
    operator.say(source.announcement, SessionPhase.DISK, report.receiver_id, position=len(BLOCKS))
    assert await outcome == SessionOutcome(ReceiverState.VERIFIED, "", True), report.reason
    assert IMAGE.is_on(content(target))
    return report


# --- what the disk holds ---------------------------------------------------------------------------------------------


async def test_a_foreign_disk_lacks_everything(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, FOREIGN)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        await receive_manifest(operator, source)
        inventory = await operator.next_inventory(source.announcement)
        assert blocks_of(inventory) == set(BLOCKS)
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, random.Random(1).sample(BLOCKS, len(BLOCKS)))
        report = await see_it_verified(operator, source, outcome, target)
        assert (report.blocks_missing, report.has_scanned, report.catch_up_bytes) == (0, True, 0)


async def test_an_old_disk_lacks_what_has_changed_and_gets_no_more(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, with_blocks_changed(CHANGED))
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        await receive_manifest(operator, source)
        inventory = await operator.next_inventory(source.announcement)
        assert blocks_of(inventory) == CHANGED
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, CHANGED)
        report = await see_it_verified(operator, source, outcome, target)
        assert report.blocks_scanned == report.blocks_to_scan > 0


async def test_a_disk_that_is_as_it_should_be_is_done_without_a_datagram_of_it(
    broker: RunningBroker, tmp_path: Path
) -> None:
    target = target_of(tmp_path, IMAGE.disk)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        await receive_manifest(operator, source)
        await see_it_verified(operator, source, outcome, target)


async def test_in_full_means_that_nothing_of_the_disk_is_believed(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, IMAGE.disk)
    async with (
        room(broker, target, is_delta=False) as (receiver, link, operator),
        taking_part(receiver, link) as outcome,
    ):
        source = Source(announcement())
        await receive_manifest(operator, source)
        assert blocks_of(await operator.next_inventory(source.announcement)) == set(BLOCKS)
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, BLOCKS)
        report = await see_it_verified(operator, source, outcome, target)
        assert (report.blocks_to_scan, report.has_scanned) == (0, True)


async def test_a_receiver_that_died_goes_on_where_its_disk_is(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, FOREIGN)
    source = Source(announcement())
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link):
        await receive_manifest(operator, source)
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, BLOCKS[:-5])
        await operator.next_report(source.announcement, until=lambda report: report.blocks_missing == 5)
    left = IMAGE.missing_on(content(target))
    assert 5 < len(left) < len(BLOCKS)  # the edges of the disk were in memory
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        await receive_manifest(operator, source)
        assert blocks_of(await operator.next_inventory(source.announcement)) == left
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, left)
        await see_it_verified(operator, source, outcome, target)


# --- the catch-up lane -----------------------------------------------------------------------------------------------


async def test_a_seat_that_hears_no_multicast_gets_everything_from_the_lane(
    broker: RunningBroker, tmp_path: Path
) -> None:
    target = target_of(tmp_path, with_blocks_changed(CHANGED))
    async with (
        catch_up_lane() as (source, lane, damaged),
        room(broker, target) as (receiver, link, operator),
        taking_part(receiver, link) as outcome,
    ):
        operator.announce(source.announcement)
        me = (await operator.next_report(source.announcement)).receiver_id
        operator.say(source.announcement, SessionPhase.DISK, catch_up=(me,), must_leave_group=(me,))
        report = await see_it_verified(operator, source, outcome, target)
        assert report.bytes_received == report.symbols_expected == 0
        assert report.catch_up_bytes == lane.bytes_sent > 0
        assert source.fetched.count((0, 0)) == 1
        assert sorted(sbn for toi, sbn in source.fetched if toi) == sorted(CHANGED)
        assert (lane.requests_invalid, damaged) == (0, [])


async def test_a_seat_that_is_not_named_leaves_the_lane_alone(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, FOREIGN)
    async with (
        catch_up_lane() as (source, lane, _),
        room(broker, target) as (receiver, link, operator),
        taking_part(receiver, link) as outcome,
    ):
        await receive_manifest(operator, source)
        operator.say(source.announcement, SessionPhase.DISK, catch_up=("f" * 32,), must_leave_group=("f" * 32,))
        source.multicast(1, BLOCKS)
        await see_it_verified(operator, source, outcome, target)
        assert (lane.requests_served, source.fetched) == (0, [])


async def test_a_block_damaged_in_the_library_is_asked_for_once_and_keeps_nothing_else(
    broker: RunningBroker, tmp_path: Path
) -> None:
    target = target_of(tmp_path, FOREIGN)
    async with (
        catch_up_lane(damaged=[7]) as (source, lane, damaged),
        room(broker, target) as (receiver, link, operator),
        taking_part(receiver, link) as outcome,
    ):
        operator.announce(source.announcement)
        me = (await operator.next_report(source.announcement)).receiver_id
        operator.say(source.announcement, SessionPhase.DISK, catch_up=(me,), must_leave_group=(me,))
        await operator.next_report(source.announcement, until=lambda report: report.blocks_missing == 1)
        served = lane.requests_served
        for _ in range(2):
            assert (await operator.next_report(source.announcement)).state is ReceiverState.RECEIVING
        assert (damaged, source.fetched.count((1, 7)), lane.requests_served) == ([(1, 7)], 1, served)
        operator.say(source.announcement, SessionPhase.ENDED)
        assert await outcome == SessionOutcome(ReceiverState.RECEIVING, "the broadcaster ended the session", False)


async def test_an_answer_damaged_on_its_way_is_fetched_again(broker: RunningBroker, tmp_path: Path) -> None:
    def damage_the_first(source: Source, transmission: Transmission) -> SealedSymbols:
        is_first = (transmission.toi, transmission.sbn) not in source.fetched
        sealed = source.encode_for_lane(transmission)
        if is_first and transmission.toi:
            sealed.datagrams[40] ^= 0x01
        return sealed

    target = target_of(tmp_path, with_blocks_changed(CHANGED))
    async with (
        catch_up_lane(encode=damage_the_first) as (source, _, _),
        room(broker, target) as (receiver, link, operator),
        taking_part(receiver, link) as outcome,
    ):
        operator.announce(source.announcement)
        me = (await operator.next_report(source.announcement)).receiver_id
        operator.say(source.announcement, SessionPhase.DISK, catch_up=(me,), must_leave_group=(me,))
        await see_it_verified(operator, source, outcome, target)
        assert receiver.session is not None
        assert receiver.session.counters.datagrams_rejected == len(CHANGED)
        assert {source.fetched.count((1, sbn)) for sbn in CHANGED} == {2}


async def test_a_lane_that_is_nowhere_leaves_the_group_to_serve_the_seat(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, FOREIGN)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement(catch_up_url="http://lab.example:80"))
        await receive_manifest(operator, source)
        me = (await operator.next_report(source.announcement)).receiver_id
        operator.say(source.announcement, SessionPhase.DISK, catch_up=(me,))
        source.multicast(1, BLOCKS)
        await see_it_verified(operator, source, outcome, target)


# --- the group -------------------------------------------------------------------------------------------------------


async def test_a_seat_leaves_the_group_and_comes_back_as_it_is_told(broker: RunningBroker, tmp_path: Path) -> None:
    target = target_of(tmp_path, FOREIGN)
    async with room(broker, target) as (receiver, link, operator), taking_part(receiver, link) as outcome:
        source = Source(announcement())
        operator.announce(source.announcement)
        me = (await operator.next_report(source.announcement)).receiver_id
        operator.say(source.announcement, SessionPhase.MANIFEST, must_leave_group=(me,))
        while receiver.session is None or not receiver.session.last_status.must_leave_group:
            await operator.next_report(source.announcement)
        await operator.next_report(source.announcement)  # by now it has left
        source.multicast_manifest()
        for _ in range(2):
            assert (await operator.next_report(source.announcement)).bytes_received == 0
        operator.say(source.announcement, SessionPhase.MANIFEST)
        while receiver.session.last_status.must_leave_group:
            await operator.next_report(source.announcement)
        await operator.next_report(source.announcement)  # by now it is back
        source.multicast_manifest()
        report = await operator.next_report(source.announcement, until=lambda report: report.has_manifest)
        assert report.bytes_received > 0
        operator.say(source.announcement, SessionPhase.DISK)
        source.multicast(1, BLOCKS)
        await see_it_verified(operator, source, outcome, target)
