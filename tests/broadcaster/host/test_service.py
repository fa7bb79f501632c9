import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.netboot.orders import ORDERS_FILE
from broadcaster.netboot.presence import ENDING, ServingMark
from broadcaster.report_check import check_seats, check_whole, decode_report
from broadcaster.saved_cast import CASTS_FOLDER
from protocol.commands import (
    AdmitReceivers,
    AnyCommand,
    CompareVersions,
    ContinueSession,
    FetchAudit,
    FetchReport,
    ImportImage,
    PauseSession,
    StartSession,
)
from protocol.disk.system_tools import find_tool
from protocol.errors import RefusedError
from protocol.link.mqtt import BrokerAddress
from protocol.operators import SessionStep
from slatecast.comparison import compare_disk
from tests.broadcaster.host.hosted_room import HostedRoom, Operator
from tests.brokers import configured_mosquitto
from tests.end_to_end.room import Running

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

SLOW: int = 12_000_000
"""[bit/s] at which the image takes some seconds"""


async def planned(hosted: HostedRoom, operator: Operator, *machines: str, room: str = "R1") -> str:
    """A plan whose seats have all looked at their disks."""
    tsi: str = (await operator.do(hosted.plan(*machines, room=room)))["tsi"]
    await operator.until(lambda: tsi in operator.sessions, "the session")
    await operator.until(
        lambda: (
            len(operator.seats(tsi)) == len(machines)
            and all(seat.outcome == "planned" and seat.has_scanned for seat in operator.seats(tsi).values())
        ),
        "all planned",
    )
    return tsi


async def ended(operator: Operator, tsi: str) -> None:
    await operator.until(lambda: operator.sessions[tsi].step is SessionStep.ENDED, "the end")


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"])
async def test_a_room_from_plan_to_report(hosted: HostedRoom, broker: str) -> None:
    if broker == "mosquitto" and find_tool("mosquitto") is None:
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    async with contextlib.AsyncExitStack() as stack:
        address: BrokerAddress | None = None
        if broker == "mosquitto":
            running = configured_mosquitto(hosted.keys.authority, stack.enter_context(contextlib.ExitStack()))
            await running.start()
            stack.push_async_callback(running.stop)
            address = running.address
        host, operator = await stack.enter_async_context(hosted.host(hosted.config(address)))
        for machine in ("a", "b"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b"}, "both receivers")
        tsi = await planned(hosted, operator, "a", "b")
        for name, seat in operator.seats(tsi).items():
            assert seat.target.endswith(f"{name.removeprefix('seat ')}.disk")
            assert seat.blocks_missing == len(hosted.manifest)
        session = operator.sessions[tsi]
        assert (session.step, session.room, session.ordered_by) == (SessionStep.PLANNED, "R1", "anna")
        assert all(map(hosted.is_untouched, "ab"))
        assert await operator.do(StartSession(tsi=tsi, expected_seats=2), "bert") == {}
        await ended(operator, tsi)
        assert operator.outcomes(tsi) == {"seat a": "verified", "seat b": "verified"}
        assert host.sessions.by_receiver() == {}
        told = operator.said(tsi)
        for line in ("anna planned lab for 2 seats", "bert started it: 2 seats", "sending began at", "2 of 2 seats"):
            assert line in told
        fetched = await operator.do(FetchReport(tsi=tsi))
        audit = await operator.do(FetchAudit())
    report = decode_report(msgspec.json.encode(fetched))
    assert not check_whole(report, lambda key: key == hosted.keys.director.public)
    assert all(each.is_good for each in check_seats(report, lambda key: key == hosted.keys.director.public))
    for machine in "ab":
        assert compare_disk(hosted.manifest, hosted.source, hosted.targets[machine]) > 0
    assert audit["is_intact"], audit["verdict"]
    orders = [entry["fields"] for entry in audit["entries"] if entry["event"] == AuditEvent.ORDER_GIVEN.value]
    assert [fields["operator"] for fields in orders] == ["bert", "bert"]


async def test_two_rooms_at_once_and_no_machine_in_both(hosted: HostedRoom) -> None:
    async with hosted.host(hosted.config(rate_bits_per_second=SLOW // 2)) as (_, operator):
        for machine in ("a", "b", "c"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b", "c"}, "all receivers")
        one = await planned(hosted, operator, "a")
        refusal = await refused(operator, hosted.plan("b", "a", room="R2"))
        assert f"in session {one} of room R1 already: seat a (a)" in refusal
        other = await planned(hosted, operator, "b", "c", room="R2")
        assert await refused(operator, StartSession(tsi=other, expected_seats=3)) == (
            "2 seats would be overwritten, not 3: look at the plan again, and type the number that you see there"
        )
        await operator.do(StartSession(tsi=one, expected_seats=1))
        await operator.do(StartSession(tsi=other, expected_seats=2))
        await operator.until(
            lambda: {operator.sessions[tsi].step for tsi in (one, other)} == {SessionStep.RUNNING}, "both running"
        )
        await operator.until(
            lambda: operator.sessions_of_machines() == {"a": one, "b": other, "c": other}, "who is where"
        )
        for tsi in (one, other):
            await ended(operator, tsi)
            assert set(operator.outcomes(tsi).values()) == {"verified"}


async def refused(operator: Operator, command: AnyCommand) -> str:
    with pytest.raises(RefusedError) as caught:
        await operator.do(command)
    return str(caught.value)


async def test_receivers_that_wait_are_let_in_and_images_come_by_order(hosted: HostedRoom) -> None:
    async with hosted.host() as (_, operator):
        hosted.receive("a", token="")
        await operator.until(lambda: operator.host is not None and bool(operator.host.applicants), "an applicant")
        assert operator.host is not None
        (applicant,) = operator.host.applicants
        assert (applicant.seat, applicant.address) == ("PC a", "127.0.0.1")
        assert operator.machines() == set()
        await operator.do(AdmitReceivers(receiver_ids=(applicant.receiver_id,)))
        await operator.until(lambda: operator.machines() == {"a"}, "the receiver")
        assert operator.host.applicants == ()
        source = hosted.room.source("second", seed=7)
        assert await operator.do(ImportImage(path=str(source), name="lab")) == {"name": "lab", "version": 2}
        await operator.until(
            lambda: [each.version for page in operator.images.values() for each in page.images] == [2, 1], "the image"
        )
        found = await operator.do(CompareVersions(name="lab", old_version=1, new_version=2))
        assert found["changed_bytes"] > 0
        tsi = await planned(hosted, operator, "a")
        assert operator.sessions[tsi].version == 2
    log = hosted.library.root / AUDIT_FILE
    entries = [(entry.event, entry.fields.get("operator")) for entry in read_entries(log)]
    assert entries == [(AuditEvent.RECEIVER_ADMITTED, "anna"), (AuditEvent.IMAGE_ADDED, "anna")]


class HostProcess:
    """A host that can be killed, and its operator."""

    def __init__(self, hosted: HostedRoom) -> None:
        self._hosted = hosted

    def start(self, rate: int = SLOW) -> Running:
        hosted = self._hosted
        process = hosted.room.start_python(
            *("-m", "tests.broadcaster.host.host_process", hosted.room.folder),
            *(hosted.port, hosted.broker_port, rate),
        )
        process.output.until("^ready$")
        return process

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Operator]:
        broker = BrokerAddress("127.0.0.1", self._hosted.broker_port, tls=True)
        async with self._hosted.operator(broker) as operator:
            yield operator


@pytest.mark.parametrize("how", ["killed", "ended", "ended while paused"])
async def test_what_was_started_goes_on_after_a_restart_and_a_plan_does_not(hosted: HostedRoom, how: str) -> None:
    host = HostProcess(hosted)
    first = host.start()
    for machine in ("a", "b"):
        hosted.receive(machine)
    async with host.operator() as operator:
        await operator.until(lambda: operator.machines() == {"a", "b"}, "both receivers")
        tsi = await planned(hosted, operator, "a")
        plan = await planned(hosted, operator, "b", room="R2")
        await operator.do(StartSession(tsi=tsi, expected_seats=1), "bert")
        await operator.until(lambda: operator.sessions[tsi].position > 3, "a part of it")
        if how == "ended while paused":
            await operator.do(PauseSession(tsi=tsi))
        generation = operator.host.generation if operator.host else ""
        if how == "killed":
            first.kill()
        else:
            os.kill(first.pid, signal.SIGTERM)
            assert first.finish() == 0
            assert "ended" in first.output.text
    second = host.start()
    async with host.operator() as operator:
        await operator.until(lambda: tsi in operator.sessions, "the session again")
        session = operator.sessions[tsi]
        assert (session.room, session.ordered_by) == ("R1", "bert")
        assert operator.host is not None
        assert operator.host.generation != generation
        assert operator.host.sessions == (tsi,)
        assert plan not in operator.sessions
        if how == "ended while paused":
            assert session.step is SessionStep.PAUSED
            await operator.do(ContinueSession(tsi=tsi))
        await ended(operator, tsi)
        assert operator.outcomes(tsi) == {"seat a": "verified"}
        assert "the broadcaster was started again" in operator.said(tsi)
        assert operator.sessions[tsi].elapsed_seconds > 0.5
    os.kill(second.pid, signal.SIGTERM)
    assert second.finish() == 0
    assert hosted.is_untouched("b")
    assert not list((hosted.library.root / CASTS_FOLDER).glob("*.cast"))
    log = hosted.library.root / AUDIT_FILE
    assert verify_audit(log, lambda key: key == hosted.keys.director.public).is_good
    starts = [entry.fields for entry in read_entries(log) if entry.event == AuditEvent.CAST_STARTED]
    assert [(each["session"], each["operator"], each["resumed"]) for each in starts] == [
        (tsi, "bert", 0),
        (tsi, "bert", 1),
    ]


async def test_a_netboot_part_that_serves_the_boot_orders_is_told_of(hosted: HostedRoom) -> None:
    mark = ServingMark(hosted.library.root / ORDERS_FILE)
    async with hosted.host() as (_, operator):
        await operator.until(lambda: operator.host is not None and not operator.host.can_boot, "news of nobody")
        await operator.until((hosted.library.root / f"{ORDERS_FILE}{ENDING}").exists, "what it would hold")
        mark.hold()
        await operator.until(lambda: operator.host is not None and operator.host.can_boot, "news of it")
        mark.close()
        await operator.until(lambda: operator.host is not None and not operator.host.can_boot, "news of its end")
