from collections.abc import Awaitable, Callable

import pytest

from dashboards.capture_desk import CaptureDesk
from dashboards.fleet.fold import Fleet
from dashboards.rooms.rooms import Rooms
from dashboards.user import User
from protocol.commands import BackUpMachines, CaptureMachine, DecideCapture, FetchFindings, StopCapture
from protocol.errors import MessageError, RefusedError
from tests.dashboards.fleet.news import NO_HEALTH
from tests.dashboards.played_captures import ASKED, DONE, FINDING, RUNNING, PlayedOrders, with_captures
from tests.dashboards.played_desk import OPERATOR, VIEWER

pytestmark = pytest.mark.asyncio


@pytest.fixture
def orders() -> PlayedOrders:
    return PlayedOrders()


@pytest.fixture
def desk(orders: PlayedOrders) -> CaptureDesk:
    return CaptureDesk(orders, with_captures(lambda: Fleet().view(Rooms(), NO_HEALTH, 0.0)))


async def test_what_an_operator_orders_is_given_on(desk: CaptureDesk, orders: PlayedOrders) -> None:
    assert await desk.order(OPERATOR, "pc-1", "windows", ("dirty",)) == RUNNING
    assert await desk.back_up(OPERATOR, ("pc-1", "pc-2")) == [RUNNING, RUNNING]
    await desk.decide(OPERATOR, ASKED, is_allowed=True, accepts=("dirty",))
    await desk.stop(OPERATOR, RUNNING)
    assert await desk.findings(VIEWER, DONE) == [FINDING]
    assert orders.given == [
        (CaptureMachine(machine="pc-1", image="windows", accepts=("dirty",)), "otto"),
        (BackUpMachines(machines=("pc-1", "pc-2")), "otto"),
        (DecideCapture(capture_id=ASKED, is_allowed=True, accepts=("dirty",)), "otto"),
        (StopCapture(capture_id=RUNNING), "otto"),
        (FetchFindings(capture_id=DONE), "vera"),
    ]


@pytest.mark.parametrize(
    "ask",
    [
        lambda desk, user: desk.order(user, "pc", "windows"),
        lambda desk, user: desk.back_up(user, ("pc",)),
        lambda desk, user: desk.decide(user, ASKED, is_allowed=True),
        lambda desk, user: desk.stop(user, RUNNING),
    ],
)
async def test_a_viewer_only_looks(
    desk: CaptureDesk, orders: PlayedOrders, ask: Callable[[CaptureDesk, User], Awaitable[object]]
) -> None:
    with pytest.raises(RefusedError, match="vera may not"):
        await ask(desk, VIEWER)
    assert orders.given == []


async def test_what_makes_no_sense_is_refused_here(desk: CaptureDesk, orders: PlayedOrders) -> None:
    for ask in (
        lambda: desk.decide(OPERATOR, RUNNING, is_allowed=True),
        lambda: desk.stop(OPERATOR, DONE),
        lambda: desk.stop(OPERATOR, "0" * 16),
        lambda: desk.findings(OPERATOR, "0" * 16),
        lambda: desk.back_up(OPERATOR, ()),
    ):
        with pytest.raises(RefusedError):
            await ask()
    with pytest.raises(MessageError):
        await desk.order(OPERATOR, "", "windows")
    assert orders.given == []
