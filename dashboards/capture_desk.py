"""Captures at the operators' desk: ordered, allowed or refused, stopped, looked into. Pages and API ask it alike."""

from collections.abc import Callable
from typing import Any, Protocol

from dashboards import desk_rules as rules
from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView
from dashboards.user import Role, User
from protocol.capture import CaptureStep
from protocol.commands import (
    AnyCommand,
    BackUpMachines,
    CaptureMachine,
    DecideCapture,
    FetchFindings,
    StopCapture,
)
from protocol.errors import RefusedError


class GivesOrders(Protocol):
    """Who carries orders to the broadcaster."""

    async def order(self, command: AnyCommand, operator: str) -> dict[str, Any]:
        """Give an order and return what is answered; raises RefusedError, MessageError, TransportError."""


class CaptureDesk:
    """Every method raises RefusedError, MessageError or TransportError, as those of ``dashboards.desk.Desk``.

    ``fleet`` is asked for the picture as it is now.
    """

    def __init__(self, link: GivesOrders, fleet: Callable[[], FleetView]) -> None:
        self._link = link
        self._fleet = fleet

    def shown(self) -> tuple[CaptureView, ...]:
        """All that are open, and those that ended a short while ago; the oldest first."""
        return self._fleet().captures

    async def order(self, user: User, machine: str, image: str, accepts: tuple[str, ...] = ()) -> str:
        """Let a machine that is there send its disk as the next version of ``image``; returns the capture_id."""
        rules.require(user, Role.OPERATOR, "capture disks")
        rules.judge_name("the machine", machine)
        rules.judge_name("the image", image)
        answer = await self._link.order(CaptureMachine(machine=machine, image=image, accepts=accepts), user.name)
        return str(answer.get("capture_id", ""))

    async def back_up(self, user: User, machines: tuple[str, ...]) -> list[str]:
        """Capture the disks of these machines as their backups, all or none; returns their capture_ids."""
        rules.require(user, Role.OPERATOR, "back up machines")
        if not machines:
            raise RefusedError("no machine was chosen: choose one or more that are there")
        answer = await self._link.order(BackUpMachines(machines=machines), user.name)
        return [str(each) for each in answer.get("capture_ids", [])]

    async def decide(self, user: User, capture_id: str, *, is_allowed: bool, accepts: tuple[str, ...] = ()) -> None:
        """Allow or refuse what somebody asked for at a machine."""
        rules.require(user, Role.OPERATOR, "decide on captures")
        if self._known(capture_id).step is not CaptureStep.ASKED:
            raise RefusedError("that capture was decided already: look at the list of captures")
        command = DecideCapture(capture_id=capture_id, is_allowed=is_allowed, accepts=accepts)
        await self._link.order(command, user.name)

    async def stop(self, user: User, capture_id: str) -> None:
        """End a capture; what has arrived of it is forgotten."""
        rules.require(user, Role.OPERATOR, "stop captures")
        if not self._known(capture_id).is_open:
            raise RefusedError("that capture has ended already: look at the list of captures")
        await self._link.order(StopCapture(capture_id=capture_id), user.name)

    async def findings(self, user: User, capture_id: str) -> list[dict[str, str]]:
        """What was found on the disk: {"kind", "code", "where", "text"} each."""
        rules.require(user, Role.VIEWER, "look at captures")
        self._known(capture_id)
        answer = await self._link.order(FetchFindings(capture_id=capture_id), user.name)
        return [{str(name): str(value) for name, value in each.items()} for each in answer.get("findings", [])]

    def _known(self, capture_id: str) -> CaptureView:
        for capture in self.shown():
            if capture.capture_id == capture_id:
                return capture
        raise RefusedError("there is no such capture any more: look at the list of captures")
