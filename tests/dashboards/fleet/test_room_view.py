from dashboards.fleet.room_view import CLAIMED_TWICE, RoomPlaces
from dashboards.fleet.views import RoomView, SeatState, SeatView, SessionView
from dashboards.rooms.rooms import Room, Rooms, RoomSeat
from protocol.operators import ReceiverNews, SessionStep
from tests.dashboards.fleet import news

LAB = Rooms(
    rooms=(
        Room(
            name="Lab",
            seats=(
                RoomSeat(name="B1", row=2, column=1, machine="PC-3", hostname="lab-3"),
                RoomSeat(name="A1", row=1, column=1, machine="pc-1"),
                RoomSeat(name="A2", row=1, column=2, machine="pc-2"),
                RoomSeat(name="A3", row=1, column=3),
            ),
        ),
        Room(name="Empty"),
    )
)


def shown(
    *sessions: SessionView, started: bool = True, there: tuple[ReceiverNews, ...] = ()
) -> tuple[RoomView, tuple[SeatView, ...]]:
    views, tray = RoomPlaces().view(LAB, sessions, [each.tsi for each in sessions if started], there)
    assert [room.name for room in views] == ["Lab", "Empty"]
    return views[0], tray


def test_seats_row_by_row_with_what_their_machines_are() -> None:
    room, tray = shown(there=(news.present(1), news.present(3), news.present(9)))
    assert [(seat.name, seat.state) for seat in room.seats] == [
        ("A1", SeatState.IDLE),
        ("A2", SeatState.OFF),
        ("A3", SeatState.EMPTY),
        ("B1", SeatState.IDLE),
    ]
    assert [(seat.name, seat.machine, seat.row) for seat in tray] == [("host-9", "pc-9", 0)]
    assert room.counts == ((SeatState.EMPTY, 1), (SeatState.OFF, 1), (SeatState.IDLE, 2))
    assert sum(count for _, count in room.counts) == len(room.seats)


def test_a_machine_is_found_whatever_its_capitals_and_named_as_it_names_itself() -> None:
    room, _ = shown(there=(news.present(3),))
    assert (room.seats[3].machine, room.seats[3].receiver_id, room.seats[3].hostname) == (
        "pc-3",
        news.receiver_id(3),
        "lab-3",
    )


def test_an_open_session_is_shown_on_its_seats() -> None:
    room, tray = shown(news.session_view("receiving", "failed"), there=(news.present(1, news.TSI),))
    assert [seat.state for seat in room.seats] == [
        SeatState.RECEIVING,
        SeatState.FAILED,
        SeatState.EMPTY,
        SeatState.OFF,
    ]
    assert [seat.name for seat in room.seats[:2]] == ["A1", "A2"]
    assert (room.tsi, room.step) == (news.TSI, SessionStep.RUNNING)
    assert not tray


def test_what_the_last_session_came_to_stays_until_the_next() -> None:
    ended = news.session_view("verified", "failed", step=SessionStep.ENDED, tsi="1" * 16)
    room, _ = shown(ended, there=(news.present(1),))
    assert [seat.state for seat in room.seats[:2]] == [SeatState.VERIFIED, SeatState.FAILED]
    assert (room.seats[0].receiver_id, room.seats[1].receiver_id) == (news.receiver_id(1), ""), "2 is switched off"
    assert room.tsi == "1" * 16
    room, _ = shown(news.session_view("planned", step=SessionStep.PLANNED), ended)
    assert (room.tsi, room.seats[0].state, room.seats[1].state) == (news.TSI, SeatState.PLANNED, SeatState.OFF)


def test_a_plan_that_was_dropped_leaves_no_trace() -> None:
    room, _ = shown(news.session_view("aborted", step=SessionStep.ENDED), started=False, there=(news.present(1),))
    assert (room.seats[0].state, room.tsi, room.step) == (SeatState.IDLE, "", None)


def test_a_pc_that_was_started_again_after_its_session_has_its_new_receiver() -> None:
    again = ReceiverNews(news.receiver_id(77), "pc-1", "host-1", "", "")
    room, _ = shown(news.session_view("verified", step=SessionStep.ENDED), there=(again,))
    assert (room.seats[0].state, room.seats[0].receiver_id) == (SeatState.VERIFIED, news.receiver_id(77))


def test_two_that_say_they_are_the_same_machine() -> None:
    impostor = ReceiverNews(news.receiver_id(66), "pc-1", "<b>other</b>", "", "")
    for order in ((impostor, news.present(1, news.TSI)), (news.present(1, news.TSI), impostor)):
        room, tray = shown(there=order)
        assert room.seats[0].receiver_id == news.receiver_id(1), "the one that takes part in a session"
        assert [(seat.receiver_id, seat.reason) for seat in tray] == [(news.receiver_id(66), CLAIMED_TWICE)]


def test_receivers_without_a_name_of_their_own_lie_in_the_tray() -> None:
    nameless = tuple(ReceiverNews(news.receiver_id(number), "", "pc", "", "") for number in (1, 2))
    room, tray = shown(there=nameless)
    assert [seat.receiver_id for seat in tray] == [news.receiver_id(1), news.receiver_id(2)]
    assert {seat.state for seat in room.seats} == {SeatState.OFF, SeatState.EMPTY}


def test_what_has_not_changed_is_the_same_at_the_next_look() -> None:
    places = RoomPlaces()
    running = news.session_view("receiving", "receiving")
    there = (news.present(1), news.present(2))
    first = places.view(LAB, (running,), [], there)[0][0].seats
    second = places.view(LAB, (running,), [], there)[0][0].seats
    assert all(one is two for one, two in zip(first, second, strict=True))
    third = places.view(LAB, (), [], there)[0][0].seats
    assert third[0].state is SeatState.IDLE
