import os
from pathlib import Path

import msgspec
import pytest

from dashboards.rooms.book import BY_HAND, KEEP_AGAIN_AFTER, MAX_REVISIONS, RoomBook
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, Rooms, RoomSeat
from protocol.errors import MessageError, RefusedError
from tests.receiver.loop_device import mounted

LAB = laid_out("Lab", 1, 3)
HAND_MADE = '[[rooms]]\nname = "Hall" # by the stairs\nseats = [{name = "1", row = 1, column = 1}]\n'


class Clock:
    """Far enough behind every file's time that each is settled, until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> RoomBook:
    return RoomBook(tmp_path, clock)


def again(book: RoomBook, tmp_path: Path, clock: Clock) -> RoomBook:
    """The book of a console that was started anew sees what this one sees."""
    other = RoomBook(tmp_path, clock)
    assert (other.current(), other.problem) == (book.current(), book.problem)
    return other


def by_hand(tmp_path: Path, text: str) -> None:
    """As editors do: another file in its place."""
    (tmp_path / "new").write_text(text, encoding="utf-8")
    (tmp_path / "new").replace(tmp_path / "rooms.toml")


def test_nothing_is_there_at_first(book: RoomBook, tmp_path: Path) -> None:
    assert book.current() == Rooms()
    assert (book.problem, book.revisions(), list(tmp_path.iterdir())) == ("", (), [])


def test_saves_are_counted_and_kept(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    first = book.save(Rooms(rooms=(LAB,)), "alice")
    clock.now += 60
    second = book.save(msgspec.structs.replace(first, rooms=(LAB, Room(name="Hall"))), "bob")
    assert (first.revision, second.revision) == (1, 2)
    assert [(each.revision, each.by, each.saved_at.timestamp()) for each in book.revisions()] == [
        (2, "bob", clock.now),
        (1, "alice", clock.now - 60),
    ]
    assert book.revision(1) == first
    assert again(book, tmp_path, clock).revisions() == book.revisions()
    assert sorted(os.listdir(tmp_path / "rooms.d")) == ["0001.toml", "0002.toml"]  # noqa: PTH208 - names only


def test_two_operators_do_not_overwrite_each_other(book: RoomBook) -> None:
    seen = book.current()
    saved = book.save(msgspec.structs.replace(seen, rooms=(LAB,)), "alice")
    with pytest.raises(RefusedError, match="revision 1 is in force and 0 was edited; load them again"):
        book.save(msgspec.structs.replace(seen, rooms=()), "bob")
    assert book.current() == saved


def test_contradictions_are_not_saved(book: RoomBook, tmp_path: Path) -> None:
    with pytest.raises(MessageError, match="is there twice"):
        book.save(Rooms(rooms=(LAB, LAB)), "alice")
    assert not list(tmp_path.iterdir())


def test_a_machine_is_placed_moved_and_cleared(book: RoomBook) -> None:
    book.save(Rooms(rooms=(LAB, laid_out("Hall", 1, 1))), "alice")
    book.place("lab", "01", "AA-BB-CC-DD-EE-FF", "alice")
    assert machines(book) == ["aa:bb:cc:dd:ee:ff", "", "", ""]
    book.place("Hall", "01", "aa:bb:cc:dd:ee:ff", "alice")
    assert machines(book) == ["", "", "", "aa:bb:cc:dd:ee:ff"]
    book.place("Hall", "01", "other", "alice")
    assert machines(book) == ["", "", "", "other"]
    book.place("Hall", "01", "", "alice")
    assert machines(book) == ["", "", "", ""]
    assert book.current().revision == 5


def machines(book: RoomBook) -> list[str]:
    return [seat.machine for room in book.current().rooms for seat in room.seats]


@pytest.mark.parametrize(("room", "seat"), [("Nowhere", "01"), ("Lab", "99"), ("Lab", ""), ("x" * 1_000_000, "1")])
def test_placing_needs_a_seat(book: RoomBook, room: str, seat: str) -> None:
    book.save(Rooms(rooms=(LAB,)), "alice")
    with pytest.raises(RefusedError, match="choose one of"):
        book.place(room, seat, "m", "alice")


def test_a_machine_that_cannot_be(book: RoomBook) -> None:
    before = book.save(Rooms(rooms=(LAB,)), "alice")
    for machine in ("x" * 65, "a\nb"):
        with pytest.raises(MessageError, match="seat '01': machine"):
            book.place("Lab", "01", machine, "alice")
    assert book.current() == before


def test_an_edit_by_hand_is_heeded_and_kept_as_it_is(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    edited = book.save(Rooms(rooms=(LAB,)), "alice")
    by_hand(tmp_path, HAND_MADE)
    assert book.current().rooms[0].name == "Hall"
    assert (book.current().revision, book.revisions()[0].by) == (2, BY_HAND)
    assert HAND_MADE in (tmp_path / "rooms.d/0002.toml").read_text(encoding="utf-8")
    assert (tmp_path / "rooms.toml").read_text(encoding="utf-8") == HAND_MADE
    with pytest.raises(RefusedError, match="revision 2 is in force and 1 was edited"):
        book.save(edited, "alice")
    again(book, tmp_path, clock)


def test_an_edit_below_our_own_first_line_is_one_by_hand(book: RoomBook, tmp_path: Path) -> None:
    book.save(Rooms(rooms=(LAB,)), "alice")
    text = (tmp_path / "rooms.toml").read_text(encoding="utf-8")
    by_hand(tmp_path, text.replace('"Lab"', '"Hall"'))
    assert book.current().rooms[0].name == "Hall"
    assert [(each.revision, each.by) for each in book.revisions()] == [(2, BY_HAND), (1, "alice")]


def test_an_edit_within_the_tick_of_the_file_system_is_seen(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "rooms.toml"
    book.save(Rooms(rooms=(LAB,)), "alice")
    clock.now = file.stat().st_mtime
    assert book.current().rooms[0].name == "Lab"
    before = file.stat()
    file.write_text(file.read_text(encoding="utf-8").replace('"Lab"', '"Bar"'), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert book.current().rooms[0].name == "Bar"


def test_a_broken_edit_is_told_and_left_alone(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    saved = book.save(Rooms(rooms=(LAB,)), "alice")
    by_hand(tmp_path, HAND_MADE.replace("column = 1", ""))
    for each in (book, again(book, tmp_path, clock)):
        assert each.current() == saved
        assert "no TOML" in each.problem or "column is missing" in each.problem
        assert "revision 1 stay in force" in each.problem
        with pytest.raises(RefusedError, match="nothing was saved"):
            each.save(saved, "alice")
    assert (tmp_path / "rooms.toml").read_text(encoding="utf-8") == HAND_MADE.replace("column = 1", "")
    by_hand(tmp_path, HAND_MADE)
    assert (book.current().rooms[0].name, book.problem) == ("Hall", "")


def test_a_broken_edit_that_is_taken_back_changes_nothing(book: RoomBook, tmp_path: Path) -> None:
    saved = book.save(Rooms(rooms=(LAB,)), "alice")
    text = (tmp_path / "rooms.toml").read_text(encoding="utf-8")
    by_hand(tmp_path, "[")
    assert book.current() == saved
    by_hand(tmp_path, text)
    assert (book.current(), book.problem, len(book.revisions())) == (saved, "", 1)


def test_going_back_is_a_new_revision(book: RoomBook) -> None:
    first = book.save(Rooms(rooms=(LAB,)), "alice")
    book.save(msgspec.structs.replace(first, rooms=()), "bob")
    third = book.restore(1, "carol")
    assert third == msgspec.structs.replace(first, revision=3)
    assert book.current() == third
    assert [(each.revision, each.by) for each in book.revisions()] == [(3, "carol"), (2, "bob"), (1, "alice")]


def test_going_back_puts_a_broken_file_aside(book: RoomBook, tmp_path: Path) -> None:
    book.save(Rooms(rooms=(LAB,)), "alice")
    by_hand(tmp_path, "[broken")
    book.restore(1, "alice")
    assert (book.current().rooms, book.problem) == ((LAB,), "")
    (aside,) = tmp_path.glob("rooms.toml.broken-*")
    assert aside.read_text(encoding="utf-8") == "[broken"


@pytest.mark.parametrize("revision", [0, -1, 7, 10**12])
def test_going_back_to_what_is_not_kept(book: RoomBook, revision: int) -> None:
    with pytest.raises(RefusedError, match="is not kept: choose one of the last 50"):
        book.restore(revision, "alice")


def test_a_revision_that_was_damaged(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    first = book.save(Rooms(rooms=(LAB,)), "alice")
    (tmp_path / "rooms.d/0001.toml").write_text("[", encoding="utf-8")
    with pytest.raises(RefusedError, match="revision 1 cannot be read"):
        book.restore(1, "alice")
    other = RoomBook(tmp_path, clock)
    assert other.current().rooms == first.rooms


def test_no_more_revisions_than_that(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    book = RoomBook(tmp_path, clock)
    for number in range(MAX_REVISIONS + 3):
        book.save(Rooms(revision=number, rooms=(Room(name=f"{number}"),)), "alice")
    assert [each.revision for each in book.revisions()] == list(range(53, 3, -1))


def test_a_file_that_is_gone_is_written_again(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    saved = book.save(Rooms(rooms=(LAB,)), "alice")
    (tmp_path / "rooms.toml").unlink()
    assert book.current() == saved
    assert "is gone" in book.problem
    again(book, tmp_path, clock)
    book.save(saved, "alice")
    assert (book.current().revision, book.problem) == (2, "")


def test_a_save_that_a_power_cut_stopped_is_made_whole(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    first = book.save(Rooms(rooms=(LAB,)), "alice")
    book.save(msgspec.structs.replace(first, rooms=()), "bob")
    (tmp_path / "rooms.d/0002.toml").unlink()
    after = RoomBook(tmp_path, clock)
    assert after.current() == Rooms(revision=2)
    assert [(each.revision, each.by) for each in after.revisions()] == [(2, "bob"), (1, "alice")]


def test_a_first_line_cannot_claim_any_revision(book: RoomBook, tmp_path: Path) -> None:
    book.save(Rooms(rooms=(LAB,)), "alice")
    by_hand(tmp_path, "# revision 999999, saved 2026-01-01T00:00:00Z by admin\n" + HAND_MADE)
    assert book.current().revision == 2
    assert book.revisions()[0].by == BY_HAND


def test_copies_that_cannot_be_made_are_made_later(tmp_path: Path) -> None:
    monotonic = Clock()
    book = RoomBook(tmp_path, now=monotonic)
    (tmp_path / "rooms.d").write_text("in the way", encoding="utf-8")
    saved = book.save(Rooms(rooms=(LAB,)), "alice")
    assert saved.revision == 1
    assert "cannot be written" in book.problem
    (tmp_path / "rooms.d").unlink()
    assert "cannot be written" in book.problem
    monotonic.now += KEEP_AGAIN_AFTER
    assert (book.current(), book.problem) == (saved, "")
    assert [each.by for each in book.revisions()] == ["alice"]


def test_a_file_that_cannot_be_read(book: RoomBook, tmp_path: Path) -> None:
    saved = book.save(Rooms(rooms=(LAB,)), "alice")
    (tmp_path / "rooms.toml").unlink()
    (tmp_path / "rooms.toml").mkdir()
    assert book.current() == saved
    assert "cannot be read" in book.problem
    with pytest.raises(RefusedError, match="nothing was saved"):
        book.save(saved, "alice")


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root: run the tests as root")
def test_a_full_disk_leaves_the_rooms_as_they_were(tmp_path: Path, clock: Clock) -> None:
    with mounted("tmpfs", tmp_path / "small", "-t", "tmpfs", "-o", "size=64k") as folder:
        book = RoomBook(folder, clock)
        saved = book.save(Rooms(rooms=(LAB,)), "alice")
        (folder / "ballast").write_bytes(bytes(40 << 10))
        with pytest.raises(RefusedError, match=r"No space left on device.*nothing was saved"):
            book.save(msgspec.structs.replace(saved, rooms=(laid_out("Large", 20, 50),)), "alice")
        assert (book.current(), book.problem) == (saved, "")
        (folder / "ballast").unlink()
        assert book.save(saved, "alice").revision == 2


def test_large_rooms_are_saved_whole(book: RoomBook, tmp_path: Path, clock: Clock) -> None:
    seats = tuple(
        RoomSeat(name=seat.name, row=seat.row, column=seat.column, machine=f"m{index}", hostname=f"pc{index}")
        for index, seat in enumerate(laid_out("x", 5, 40).seats)
    )
    book.save(Rooms(rooms=(Room(name="Large", seats=seats),)), "alice")
    assert again(book, tmp_path, clock).current().rooms[0].seats == seats
