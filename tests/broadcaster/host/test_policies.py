from pathlib import Path

import pytest

from broadcaster.host import policies as module
from broadcaster.host.policies import POLICIES_FILE, Policies
from protocol.commands import PlannedSeat, SetRoomPolicy
from protocol.errors import LibraryError, RefusedError

SEATS = (PlannedSeat(machine="aa", seat="seat 1", hostname="pc-1"), PlannedSeat(machine="bb", seat="seat 2"))
POLICY = SetRoomPolicy(room="R1", image="lab", allows_restore=True, backs_up=True, seats=SEATS)


def test_what_was_said_last_holds_and_survives_a_restart(tmp_path: Path) -> None:
    policies = Policies(tmp_path)
    assert policies.of("R1") == SetRoomPolicy(room="R1")
    assert policies.hold(POLICY)
    assert not policies.hold(POLICY)
    assert (tmp_path / POLICIES_FILE).stat().st_mode & 0o777 == 0o600
    for each in (policies, Policies(tmp_path)):
        assert each.of("R1") == POLICY
        assert each.place_of("aa") == (POLICY, SEATS[0])
        assert each.place_of("cc") is None


def test_a_machine_stands_where_it_was_said_last(tmp_path: Path) -> None:
    policies = Policies(tmp_path)
    policies.hold(POLICY)
    other = SetRoomPolicy(room="R2", seats=SEATS[:1])
    policies.hold(other)
    assert policies.place_of("aa") == (other, SEATS[0])
    assert policies.place_of("bb") == (POLICY, SEATS[1])


def test_a_room_without_policy_is_forgotten(tmp_path: Path) -> None:
    policies = Policies(tmp_path)
    policies.hold(POLICY)
    assert policies.hold(SetRoomPolicy(room="R1"))
    assert policies.all() == ()
    assert policies.place_of("aa") is None
    assert Policies(tmp_path).all() == ()


def test_rooms_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POLICIES", 1)
    policies = Policies(tmp_path)
    policies.hold(POLICY)
    with pytest.raises(RefusedError, match="1 rooms have a policy already"):
        policies.hold(SetRoomPolicy(room="R2", image="lab"))


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'[{"command": "policy"}]', b"[" * 100_000])
def test_a_file_that_is_none_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / POLICIES_FILE).write_bytes(content)
    with pytest.raises(LibraryError, match="remove it, and save the rooms"):
        Policies(tmp_path)
    assert (tmp_path / POLICIES_FILE).read_bytes() == content


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POLICIES_FILE", 10)
    (tmp_path / POLICIES_FILE).write_bytes(b"[" + b" " * 100 + b"]")
    with pytest.raises(LibraryError, match="longer than 10 bytes"):
        Policies(tmp_path)


def test_what_cannot_be_written_does_not_hold(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    policies = Policies(folder)
    folder.rmdir()
    with pytest.raises(LibraryError, match="No such file"):
        policies.hold(POLICY)
    assert policies.all() == ()
