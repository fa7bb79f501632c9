import logging

import pytest

from protocol.errors import TransportError
from receiver.membership import REJOIN_SILENCE, Membership


class GroupSocket:
    """A socket whose link can be down; remembers what was done with it."""

    def __init__(self) -> None:
        self.is_member = True
        self.is_link_down = False
        self.done: list[str] = []

    def leave(self) -> None:
        if self.is_member:
            self.done.append("leave")
        self.is_member = False

    def rejoin(self) -> None:
        self.is_member = False
        if self.is_link_down:
            raise TransportError("the interface is down: check the cable")
        self.done.append("join")
        self.is_member = True


def membership(now: float = 0.0) -> tuple[Membership, GroupSocket]:
    socket = GroupSocket()
    return Membership(socket, now), socket  # type: ignore[arg-type]  # all of the socket that it looks at


def test_a_group_that_is_heard_is_not_joined_again() -> None:
    keeper, socket = membership()
    for tick in range(100):
        keeper.received(tick / 10)
        keeper.keep(tick / 10 + 0.05, must_leave=False)
    assert socket.done == []


def test_a_silent_group_is_joined_again_and_as_often_as_it_stays_silent() -> None:
    keeper, socket = membership(10.0)
    joined_at = []
    for tick in range(100, 300):
        keeper.keep(tick / 10, must_leave=False)
        if socket.done:
            joined_at.append(tick / 10)
            socket.done.clear()
    assert joined_at == [10.0 + REJOIN_SILENCE, 10.0 + 2 * REJOIN_SILENCE, 10.0 + 3 * REJOIN_SILENCE]


def test_each_datagram_puts_the_next_join_off() -> None:
    keeper, socket = membership()
    keeper.received(REJOIN_SILENCE - 0.1)
    keeper.keep(REJOIN_SILENCE, must_leave=False)
    keeper.keep(2 * REJOIN_SILENCE - 0.2, must_leave=False)
    assert socket.done == []
    keeper.keep(2 * REJOIN_SILENCE - 0.1, must_leave=False)
    assert socket.done == ["join"]


def test_who_must_leave_leaves_once_and_stays_away_in_any_silence() -> None:
    keeper, socket = membership()
    for tick in range(5):
        keeper.keep(tick * REJOIN_SILENCE, must_leave=True)
    assert (socket.done, socket.is_member) == (["leave"], False)


def test_who_may_come_back_does_so_at_once() -> None:
    keeper, socket = membership()
    keeper.keep(1.0, must_leave=True)
    keeper.keep(1.1, must_leave=False)
    keeper.keep(1.2, must_leave=False)
    assert (socket.done, socket.is_member) == (["leave", "join"], True)


def test_a_link_that_is_down_is_tried_until_it_is_up_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    keeper, socket = membership()
    socket.is_link_down = True
    with caplog.at_level(logging.WARNING):
        keeper.keep(REJOIN_SILENCE, must_leave=False)
        keeper.keep(REJOIN_SILENCE + 0.1, must_leave=False)
    assert (socket.done, socket.is_member) == ([], False)
    told = ["the interface is down: check the cable; trying again"]
    assert [record.getMessage() for record in caplog.records] == told  # once, however often it is tried
    socket.is_link_down = False
    keeper.keep(REJOIN_SILENCE + 0.2, must_leave=False)
    keeper.keep(REJOIN_SILENCE + 0.3, must_leave=False)
    assert (socket.done, socket.is_member) == (["join"], True)
    socket.is_link_down = True
    keeper.keep(3 * REJOIN_SILENCE, must_leave=False)
    assert [record.getMessage() for record in caplog.records] == 2 * told


def test_a_link_that_is_down_does_not_keep_from_leaving() -> None:
    keeper, socket = membership()
    socket.is_link_down = True
    keeper.keep(REJOIN_SILENCE, must_leave=True)
    assert (socket.done, socket.is_member) == (["leave"], False)
