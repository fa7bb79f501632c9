import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from broadcaster.host.service import SessionHost
from broadcaster.library.adding import add_image
from protocol.commands import (
    COMMANDS_TOPIC,
    AnyCommand,
    ContinueSession,
    DismissSeat,
    FetchReport,
    MoveToCatchUp,
    PauseSession,
    PlannedSeat,
    RetrySeats,
    StartSession,
    StopSession,
)
from protocol.errors import RefusedError
from protocol.signing import SigningKey
from tests.broadcaster.host.hosted_room import HostedRoom, Operator
from tests.sample_messages import presence, receiver_id

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio]

NOWHERE = "f" * 16


class Desk:
    """A host in whose room nobody is; who seems to be there only says so."""

    def __init__(self, hosted: HostedRoom, host: SessionHost, operator: Operator) -> None:
        self.hosted, self.host, self.operator = hosted, host, operator
        for number in (1, 2, 3):
            host._attendance.hear(presence(number), time.monotonic() + 60)

    async def refusal(self, command: AnyCommand) -> str:
        with pytest.raises(RefusedError) as caught:
            await self.operator.do(command)
        return str(caught.value)


@pytest_asyncio.fixture
async def desk(hosted: HostedRoom) -> AsyncIterator[Desk]:
    async with hosted.host() as (host, operator):
        yield Desk(hosted, host, operator)


async def test_plans_that_cannot_be(desk: Desk) -> None:
    plan = desk.hosted.plan
    add_image(desk.hosted.library, desk.hosted.room.source("other", seed=9), "unsigned")
    twice = (PlannedSeat(machine="machine-1", seat="1"), PlannedSeat(machine="machine-2", seat="1"))
    for command, text in (
        (plan("machine-1", image="nothing"), "no image 'nothing' in library"),
        (plan("machine-1", image="../keys"), "cannot be an image's name"),
        (plan("machine-1", version=7), "has no version 7, only 1"),
        (plan("machine-1", image="unsigned"), "is not signed, so no receiver would write it"),
        (plan("machine-1", room=""), "a plan needs the name of its room"),
        (plan("machine-1", rate_bits_per_second=5), "5 bit/s is too slow: at least 1000000"),
        (plan("machine-1", "x", "y"), "not there: seat x (x), seat y (y); switch them on, or leave them out"),
        (plan(*"abcdefgh"), "seat e (e) and 3 more; switch them on"),
        (plan("machine-1", "machine-1"), "the plan names a machine twice: machine-1"),
        (plan("machine-1", seats=twice), "the plan names a seat twice: 1"),
    ):
        assert text in await desk.refusal(command)
    assert desk.host.sessions.open() == []


async def test_of_two_plans_for_a_machine_at_once_one_is_refused(desk: Desk) -> None:
    orders = [desk.operator.order(desk.hosted.plan("machine-1", room=room)) for room in ("R1", "R2")]
    for order in orders:
        desk.operator.send(order)
    answers = await asyncio.gather(*map(desk.operator.answered, orders), return_exceptions=True)
    assert [type(answer) for answer in answers] == [dict, RefusedError]
    assert len(desk.host.sessions.open()) == 1


async def test_sessions_that_are_not_there(desk: Desk) -> None:
    for command, text in (
        (StartSession(tsi=NOWHERE, expected_seats=1), "there is no session ffffffffffffffff"),
        (StopSession(tsi=NOWHERE), "there is no session"),
        (PauseSession(tsi=NOWHERE), "there is no session"),
        (ContinueSession(tsi=NOWHERE), "there is no session"),
        (MoveToCatchUp(tsi=NOWHERE, receiver_id=receiver_id(1)), "there is no session"),
        (DismissSeat(tsi=NOWHERE, receiver_id=receiver_id(1)), "there is no session"),
        (RetrySeats(tsi=NOWHERE, machines=("machine-1",)), "is not known any more: open a new plan"),
        (FetchReport(tsi=NOWHERE), "there is no report of session"),
    ):
        assert text in await desk.refusal(command)


async def test_a_plan_to_which_nobody_came_cannot_be_started(desk: Desk) -> None:
    tsi = (await desk.operator.do(desk.hosted.plan("machine-1", "machine-2")))["tsi"]
    assert "0 seats would be overwritten, not 2" in await desk.refusal(StartSession(tsi=tsi, expected_seats=2))
    assert "takes part in this session" in await desk.refusal(DismissSeat(tsi=tsi, receiver_id=receiver_id(1)))
    assert "in session" in await desk.refusal(RetrySeats(tsi=tsi, machines=("machine-1",)))
    await desk.operator.until(
        lambda: desk.operator.outcomes(tsi) == {"seat machine-1": "absent", "seat machine-2": "absent"}
    )
    await desk.operator.do(StopSession(tsi=tsi))


async def test_a_replayed_or_foreign_order_does_nothing(desk: Desk) -> None:
    operator = desk.operator
    order = operator.order(desk.hosted.plan("machine-1"))
    operator.send(order)
    tsi = (await operator.answered(order))["tsi"]
    stop = operator.order(StopSession(tsi=tsi))
    operator.send(stop, SigningKey(bytes(32)))
    operator.send(stop, desk.hosted.keys.director)
    operator._link.publish(COMMANDS_TOPIC, b"{}")
    operator.send(order)  # the same again: answered, and no second plan
    await operator.until(lambda: len([each for each in operator.answers if each.command_id == order.command_id]) > 1)
    assert desk.host.commands.rejected_count == 3
    assert [session.tsi for session in desk.host.sessions.open()] == [tsi]
    stale = operator.order(StopSession(tsi=tsi), generation="0" * 32)
    operator.send(stale)
    with pytest.raises(RefusedError, match="was started again since you looked"):
        await operator.answered(stale)
    assert desk.host.sessions.open()[0].tsi == tsi


async def test_more_sessions_than_names_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.host.sessions.SESSION_ROLES", ("sessiona", "sessionb"))
    for number in (1, 2):
        await desk.operator.do(desk.hosted.plan(f"machine-{number}"))
    assert {session.role for session in desk.host.sessions.open()} == {"sessiona", "sessionb"}
    assert "2 sessions are open already: end one first" in await desk.refusal(desk.hosted.plan("machine-3"))
