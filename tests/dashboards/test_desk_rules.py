import dataclasses

import pytest

from dashboards import desk_rules as rules
from dashboards.fleet.fold import Fleet
from dashboards.fleet.views import FleetView, SessionView
from dashboards.rooms.rooms import Room, Rooms, RoomSeat
from dashboards.user import Role, User
from protocol.errors import MessageError, RefusedError
from protocol.operators import SessionStep
from tests.dashboards.fleet import news
from tests.dashboards.played_desk import ADMIN, OPERATOR, VIEWER
from tests.dashboards.played_fleet import PlayedFleet


def played(*plans: str) -> tuple[PlayedFleet, FleetView]:
    """A fleet of two rooms with a plan in each of ``plans``, seats looked at."""
    fleet = PlayedFleet(rooms=2, seats=14)
    for room in plans:
        fleet.plan(room)
    fold = Fleet()
    for each in fleet.run(7):
        fold.receive(each, fleet.now)
    return fleet, fold.view(fleet.rooms, news.NO_HEALTH, fleet.now)


def plan_in(view: FleetView, room: str = "Room 1") -> SessionView:
    return next(session for session in view.sessions if session.room == room)


@pytest.mark.parametrize(("user", "may"), [(VIEWER, False), (OPERATOR, True), (ADMIN, True)])
def test_roles(user: User, may: bool) -> None:
    if may:
        rules.require(user, Role.OPERATOR, "plan")
        return
    with pytest.raises(RefusedError, match="vera may not plan: it takes the role operator; ask an administrator"):
        rules.require(user, Role.OPERATOR, "plan")


def test_machines_that_are_there_are_planned() -> None:
    _, view = played()
    seats = rules.seats_to_plan(view, view.rooms[0], {})
    names = [seat.seat for seat in seats]
    assert len(names) == 12
    assert "04" not in names, "empty"
    assert "05" not in names, "switched off"


def test_a_room_without_machines_is_not_planned() -> None:
    _, view = played()
    with pytest.raises(RefusedError, match="no machine of Room 1 is there: switch them on"):
        rules.seats_to_plan(view, Fleet().view(PlayedFleet().rooms, news.NO_HEALTH, 0.0).rooms[0], {})
    with pytest.raises(RefusedError, match="there is no room 'Room 9'"):
        rules.known_room(view, "Room 9")
    assert rules.known_room(view, "ROOM 1").name == "Room 1"


def test_seats_that_somebody_else_uses() -> None:
    _, view = played("Room 1")
    with pytest.raises(RefusedError, match="seat 01 takes part in the plan of anna in Room 1: agree with anna"):
        rules.seats_to_plan(view, view.rooms[0], {})
    other = view.rooms[1].seats[2]
    with pytest.raises(RefusedError, match="seat 03 is just being planned by otto"):
        rules.seats_to_plan(view, view.rooms[1], {other.machine: "otto"})


def test_what_a_start_overwrites() -> None:
    _, view = played("Room 1")
    names = [seat.name for seat in rules.to_overwrite(plan_in(view))]
    assert len(names) == 11
    assert "06" not in names, "refused"


@pytest.mark.parametrize(
    ("room", "count", "words"),
    [
        ("room 1", 11, "'room 1' is not the room of this plan: type Room 1 to confirm"),
        ("", 11, "type Room 1 to confirm"),
        ("x" * 10_000, 11, "'x{64}' is not the room"),
        ("Room 1", 12, "12 was typed and 11 machines in Room 1 would be overwritten"),
        ("Room 1", -1, "-1 was typed"),
    ],
)
def test_a_start_is_typed(room: str, count: int, words: str) -> None:
    _, view = played("Room 1")
    with pytest.raises(RefusedError, match=words):
        rules.judge_start(plan_in(view), room, count, "")
    rules.judge_start(plan_in(view), " Room 1 ", 11, "")


def test_what_was_started_is_not_started_again() -> None:
    fleet, view = played("Room 1")
    with pytest.raises(RefusedError, match="was started already by otto"):
        rules.judge_start(plan_in(view), "Room 1", 11, "otto")
    fold = Fleet()
    fleet.start(plan_in(view).tsi)
    for each in fleet.run(1):
        fold.receive(each, fleet.now)
    with pytest.raises(RefusedError, match="was started already by anna"):
        rules.judge_start(fold.view(fleet.rooms, news.NO_HEALTH, 0.0).sessions[0], "Room 1", 11, "")


def test_images() -> None:
    _, view = played()
    rules.judge_image(view, "lab-ubuntu", 0)
    rules.judge_image(view, "lab-ubuntu", 1)
    for name, version, words in [("nix", 0, "no image 'nix'"), ("lab-ubuntu", 7, "no version 7 .* choose one of 1, 2")]:
        with pytest.raises(RefusedError, match=words):
            rules.judge_image(view, name, version)
    for name, version in [("", 0), ("x" * 65, 0), ("a\nb", 0), ("lab-ubuntu", -1)]:
        with pytest.raises(MessageError):
            rules.judge_image(view, name, version)
    with pytest.raises(MessageError, match="name the version"):
        rules.judge_version(view, "lab-ubuntu", 0)
    size = next(image.disk_size for image in view.images if (image.name, image.version) == ("lab-ubuntu", 1))
    rules.judge_shrink(view, "lab-ubuntu", 1, 0)
    rules.judge_shrink(view, "lab-ubuntu", 1, size - 1)
    with pytest.raises(RefusedError, match="it fits on that disk as it is"):
        rules.judge_shrink(view, "lab-ubuntu", 1, size)
    with pytest.raises(MessageError, match="a number of bytes"):
        rules.judge_shrink(view, "lab-ubuntu", 1, -1)
    with pytest.raises(RefusedError, match="no image 'nix'"):
        rules.judge_shrink(view, "nix", 1, 0)
    unread = dataclasses.replace(view, images=(), is_library_known=False)
    with pytest.raises(RefusedError, match="not yet told what its library holds: try again"):
        rules.judge_image(unread, "lab-ubuntu", 0)
    _, view = played("Room 1")
    with pytest.raises(RefusedError, match="is used by a session"):
        rules.judge_removal(view, "lab-ubuntu", 2)
    rules.judge_removal(view, "lab-ubuntu", 1)


def test_sessions_and_seats() -> None:
    _, view = played("Room 1")
    session = rules.known_session(view, plan_in(view).tsi)
    with pytest.raises(RefusedError, match="there is no session"):
        rules.known_session(view, "f" * 16)
    assert rules.known_seat(session, session.seats[0].receiver_id).name == "01"
    refused = next(seat for seat in session.seats if seat.name == "06")
    with pytest.raises(RefusedError, match=r"seat 06 is done \(refused\)"):
        rules.known_seat(session, refused.receiver_id)
    with pytest.raises(RefusedError, match="no such seat"):
        rules.known_seat(session, "0" * 32)
    with pytest.raises(RefusedError, match="is planned: only one that runs can be paused"):
        rules.judge_pause(session)
    with pytest.raises(RefusedError, match="is planned: there is nothing to continue"):
        rules.judge_resume(session)


def test_retries() -> None:
    _, view = played("Room 1")
    session = plan_in(view)
    machine = session.seats[0].machine
    assert rules.seats_to_retry(session, [machine]) == {machine: "01"}
    for machines, words in [([], "no seat was chosen"), (["nobody"], "machine 'nobody' was not in the session")]:
        with pytest.raises(RefusedError, match=words):
            rules.seats_to_retry(session, machines)


def test_applicants() -> None:
    fleet, view = played()
    rules.judge_applicants(view, tuple(fleet.applicants))
    for chosen in [(), ("f" * 32,), (*fleet.applicants, "f" * 32)]:
        with pytest.raises(RefusedError):
            rules.judge_applicants(view, chosen)


def test_waking() -> None:
    rooms = Rooms(
        rooms=(
            Room(
                name="Lab",
                seats=(
                    RoomSeat(name="1", row=1, column=1, mac_address="02:00:00:00:00:01"),
                    RoomSeat(name="2", row=1, column=2, machine="02:00:00:00:00:02"),
                    RoomSeat(name="3", row=1, column=3, machine="pc-3"),
                ),
            ),
            Room(name="Bare"),
        )
    )
    assert rules.addresses_to_wake(rooms, "lab") == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    with pytest.raises(RefusedError, match="no seat of Bare has an address to wake"):
        rules.addresses_to_wake(rooms, "Bare")
    with pytest.raises(RefusedError, match="there is no room 'X'"):
        rules.addresses_to_wake(rooms, "X")


@pytest.mark.parametrize("path", ["", "lab.img", "/" + "x" * 5000, "/a\0b"])
def test_paths(path: str) -> None:
    with pytest.raises(MessageError, match="write the whole path"):
        rules.judge_path(path)
    rules.judge_path("/srv/lab.img")


@pytest.mark.parametrize("tsi", ["", "f" * 15, "F" * 16, "../../etc/passwd"])
def test_names_of_sessions(tsi: str) -> None:
    with pytest.raises(MessageError):
        rules.judge_tsi(tsi)
    rules.judge_tsi("0123456789abcdef")


@pytest.mark.parametrize("rate", [-1, 1 << 63])
def test_rates(rate: int) -> None:
    with pytest.raises(MessageError):
        rules.judge_rate(rate)
    rules.judge_rate(0)


def test_steps_that_can_be_paused_and_continued() -> None:
    fold = Fleet()
    fold.receive(news.host(), 0.0)
    fold.receive(news.session(step=SessionStep.RUNNING), 0.0)
    running = fold.session(news.TSI, 0.0)
    assert running is not None
    rules.judge_pause(running)
    fold.receive(news.session(2, step=SessionStep.PAUSED), 0.0)
    paused = fold.session(news.TSI, 0.0)
    assert paused is not None
    rules.judge_resume(paused)


def test_a_seat_that_restores_itself_names_no_operator() -> None:
    played = PlayedFleet(seats=3, orderly=True)
    played.plan("Room 1", ordered_by=rules.SELF_SERVICE)
    fleet = Fleet()
    for told in played.run(2):
        fleet.receive(told, played.now)
    view = fleet.view(played.rooms, news.NO_HEALTH, played.now)
    machine = view.rooms[0].seats[0].machine
    with pytest.raises(RefusedError, match="seat 01 is being restored by whoever sits there, in Room 1"):
        rules.judge_free(view, {machine: "01"}, {})
