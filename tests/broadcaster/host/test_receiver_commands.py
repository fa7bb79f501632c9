from typing import Any

import pytest

from broadcaster.host import receiver_commands as module
from broadcaster.host.receiver_commands import ReceiverCommands
from broadcaster.waiting_room import Settled, WaitingRoom
from protocol.commands import AdmitReceivers, AnyCommand, RefuseReceivers, WakeMachines
from protocol.enrolment import VerdictState
from protocol.errors import RefusedError
from protocol.link.interfaces import InterfaceInfo
from tests.broadcaster.applicants import Candidate
from tests.broadcaster.host.handling import carry_out
from tests.broadcaster.host.test_host_audit import apply

ETH = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, None, False, False)
IDS = tuple(Candidate(number).receiver_id for number in (1, 2))


class Door:
    """A waiting room with two applicants, and what happened there."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.room = WaitingRoom(self.events.append)
        for number in (1, 2):
            apply(self.room, Candidate(number))
        self._commands = ReceiverCommands(self.room, ETH, self.events.append)

    def do(self, command: AnyCommand) -> object:
        return carry_out(self._commands.handlers, command)

    def settled(self) -> dict[str, VerdictState]:
        events = (event for event in self.events if isinstance(event, Settled))
        return {event.applicant.receiver_id: event.applicant.state for event in events}


@pytest.fixture
def door() -> Door:
    return Door()


def test_all_that_are_named_are_let_in_or_sent_away(door: Door) -> None:
    assert door.do(AdmitReceivers(receiver_ids=(IDS[0], IDS[0]))) == {}
    assert door.do(RefuseReceivers(receiver_ids=IDS[1:])) == {}
    assert door.settled() == {IDS[0]: VerdictState.ADMITTED, IDS[1]: VerdictState.REFUSED}
    assert door.events.index("anna") < next(n for n, event in enumerate(door.events) if isinstance(event, Settled))


@pytest.mark.parametrize("command", [AdmitReceivers, RefuseReceivers])
def test_when_one_is_not_there_nothing_is_changed(door: Door, command: Any) -> None:
    with pytest.raises(RefusedError, match=f"no receiver {'f' * 32} waits: .*; nothing was changed"):
        door.do(command(receiver_ids=(IDS[0], "f" * 32)))
    assert door.settled() == {}
    assert "anna" not in door.events


def test_machines_are_woken_on_the_interface_of_the_host(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[object] = []
    monkeypatch.setattr(module, "wake_machines", lambda *where: woken.append(where))
    assert door.do(WakeMachines(addresses=("02:00:00:00:00:01",))) == {}
    assert woken == [(ETH, ("02:00:00:00:00:01",))]
