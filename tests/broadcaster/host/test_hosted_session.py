import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries
from broadcaster.host.service import SessionHost
from protocol.commands import (
    ContinueSession,
    DismissSeat,
    FetchReport,
    MoveToCatchUp,
    PauseSession,
    RemoveImage,
    RetrySeats,
    StartSession,
    StopSession,
)
from protocol.errors import LibraryError
from protocol.operators import SessionStep, Severity
from tests.broadcaster.host.hosted_room import HostedRoom
from tests.broadcaster.host.test_service import ended, planned, refused

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

SLOW = 12_000_000


async def test_a_plan_that_is_dropped_leaves_the_disk_and_no_trace_of_a_wipe(hosted: HostedRoom) -> None:
    async with hosted.host() as (_, operator):
        hosted.receive("a")
        await operator.until(lambda: operator.machines() == {"a"}, "the receiver")
        tsi = await planned(hosted, operator, "a")
        assert "nothing to pause" in await refused(operator, PauseSession(tsi=tsi))
        assert "it is not paused" in await refused(operator, ContinueSession(tsi=tsi))
        receiver_id = operator.seats(tsi)["seat a"].receiver_id
        assert "only planned" in await refused(operator, MoveToCatchUp(tsi=tsi, receiver_id=receiver_id))
        assert "in use by session" in await refused(operator, RemoveImage(name="lab", version=1))
        assert "still runs" in await refused(operator, FetchReport(tsi=tsi))
        await operator.do(StopSession(tsi=tsi), "bert")
        await ended(operator, tsi)
        assert operator.sessions[tsi].end_reason == "bert dropped the plan"
        assert await refused(operator, StopSession(tsi=tsi)) == "the session has ended"
        again = await planned(hosted, operator, "a")
        assert again != tsi
        await operator.do(StopSession(tsi=again))
        await ended(operator, again)
        report = await operator.do(FetchReport(tsi=tsi))
        assert report["end_reason"] == "bert dropped the plan"
    assert hosted.is_untouched("a")
    events = {entry.event for entry in read_entries(hosted.library.root / AUDIT_FILE)}
    assert events == {AuditEvent.RECEIVER_ADMITTED}


async def test_paused_continued_stopped_and_tried_again(hosted: HostedRoom) -> None:
    async with hosted.host(hosted.config(rate_bits_per_second=SLOW)) as (_, operator):
        for machine in ("a", "b"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b"}, "both receivers")
        tsi = await planned(hosted, operator, "a", "b")
        await operator.do(StartSession(tsi=tsi, expected_seats=2))
        assert await refused(operator, StartSession(tsi=tsi, expected_seats=2)) == "it has been started already"
        await operator.until(lambda: operator.sessions[tsi].position > 2, "a part of it")
        await operator.do(PauseSession(tsi=tsi), "bert")
        await operator.until(lambda: operator.sessions[tsi].step is SessionStep.PAUSED, "the pause")
        assert "paused already" in await refused(operator, PauseSession(tsi=tsi))
        await operator.do(ContinueSession(tsi=tsi))
        await operator.until(lambda: operator.sessions[tsi].step is SessionStep.RUNNING, "that it goes on")
        await operator.do(StopSession(tsi=tsi), "bert")
        await ended(operator, tsi)
        assert set(operator.outcomes(tsi).values()) == {"aborted"}
        told = operator.said(tsi)
        for line in ("bert paused the session", "anna continued the session", "bert stopped the session"):
            assert line in told
        assert "is no machine of session" in await refused(operator, RetrySeats(tsi=tsi, machines=("x",)))
        retried = (await operator.do(RetrySeats(tsi=tsi, machines=("a",))))["tsi"]
        await operator.until(lambda: retried in operator.sessions, "the new plan")
        await operator.until(lambda: operator.outcomes(retried) == {"seat a": "planned"}, "that it looks")
        await operator.until(lambda: operator.seats(retried)["seat a"].has_scanned, "that it has looked")
        assert operator.sessions[retried].room == "R1"
        await operator.do(StartSession(tsi=retried, expected_seats=1))
        await ended(operator, retried)
        assert operator.outcomes(retried) == {"seat a": "verified"}
        assert "seat a is verified" in await refused(operator, RetrySeats(tsi=retried, machines=("a",)))


async def test_single_seats_are_stopped_and_moved(hosted: HostedRoom) -> None:
    async with hosted.host(hosted.config(rate_bits_per_second=SLOW)) as (_, operator):
        for machine in ("a", "b", "c"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b", "c"}, "all receivers")
        tsi = await planned(hosted, operator, "a", "b", "c")
        await operator.do(StartSession(tsi=tsi, expected_seats=3))
        await operator.until(lambda: operator.sessions[tsi].position > 2, "a part of it")
        ids = {name: seat.receiver_id for name, seat in operator.seats(tsi).items()}
        await operator.do(MoveToCatchUp(tsi=tsi, receiver_id=ids["seat b"]))
        await operator.do(DismissSeat(tsi=tsi, receiver_id=ids["seat a"]), "bert")
        strange = DismissSeat(tsi=tsi, receiver_id="f" * 32)
        assert "takes part in this session" in await refused(operator, strange)
        await operator.until(lambda: operator.seats(tsi)["seat b"].is_on_catch_up, "the move")
        await ended(operator, tsi)
        outcomes = operator.outcomes(tsi)
        assert (outcomes["seat b"], outcomes["seat c"]) == ("verified", "verified")
        assert outcomes["seat a"] not in ("verified", "receiving")
        assert "moved by the operator" in operator.seats(tsi)["seat b"].reason
        told = operator.said(tsi)
        assert "anna moved seat b to catch-up" in told
        assert "bert stopped seat a" in told


async def test_a_seat_that_cannot_be_overwritten_is_named_and_not_counted(hosted: HostedRoom) -> None:
    async with hosted.host() as (_, operator):
        hosted.receive("a")
        hosted.receive("small", size=1 << 20)
        await operator.until(lambda: operator.machines() == {"a", "small"}, "both receivers")
        tsi = (await operator.do(hosted.plan("a", "small")))["tsi"]
        await operator.until(lambda: tsi in operator.sessions, "the session")
        await operator.until(
            lambda: operator.outcomes(tsi) == {"seat a": "planned", "seat small": "refused"}, "the refusal"
        )
        assert operator.seats(tsi)["seat small"].reason
        await operator.until(lambda: "seat small refused: " in operator.said(tsi), "that it is told")
        assert "1 seats would be overwritten" in await refused(operator, StartSession(tsi=tsi, expected_seats=2))
        await operator.do(StartSession(tsi=tsi, expected_seats=1))
        await ended(operator, tsi)
        assert operator.outcomes(tsi) == {"seat a": "verified", "seat small": "refused"}
        assert operator.sessions[tsi].happenings[-1].severity is Severity.WARNING
    assert hosted.is_untouched("small")


async def test_an_image_that_rots_ends_its_session_and_no_other(hosted: HostedRoom) -> None:
    async with hosted.host(hosted.config(rate_bits_per_second=SLOW)) as (host, operator):
        for machine in ("a", "b"):
            hosted.receive(machine)
        await operator.until(lambda: operator.machines() == {"a", "b"}, "both receivers")
        sound = await planned(hosted, operator, "a")
        doomed = await planned(hosted, operator, "b", room="R2")
        fail(host, doomed)
        await ended(operator, doomed)
        assert operator.sessions[doomed].end_reason == "the medium is gone"
        assert "the medium is gone" in operator.said(doomed)
        await operator.do(StartSession(tsi=sound, expected_seats=1))
        await ended(operator, sound)
        assert operator.outcomes(sound) == {"seat a": "verified"}


def fail(host: SessionHost, tsi: str) -> None:
    """As when the manifest cannot be sent."""
    host.sessions.need(tsi).broadcast._fail(LibraryError("the medium is gone"))
