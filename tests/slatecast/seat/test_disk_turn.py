import threading

from slatecast.seat import disk_turn
from slatecast.seat.disk_turn import DiskTurn


def test_only_one_has_the_disk() -> None:
    turn = DiskTurn()
    assert turn.take()
    assert not turn.take()
    turn.give_back()
    assert turn.take_for_session(lambda: False)
    assert not turn.take()
    turn.give_back_from_session()
    turn.give_back_from_session()
    turn.wait()
    assert not turn.take()


def test_a_session_waits_until_the_capture_has_stopped() -> None:
    turn = DiskTurn()
    assert turn.take()
    has_disk = threading.Event()

    def begin_writing() -> None:
        assert turn.take_for_session(lambda: False)
        has_disk.set()

    thread = threading.Thread(target=begin_writing)
    thread.start()
    assert not has_disk.is_set()
    turn.give_back()
    assert has_disk.wait(10)
    thread.join()


def test_a_session_that_was_stopped_waits_no_longer(monkeypatch: object) -> None:
    turn = DiskTurn()
    assert turn.take()
    assert disk_turn.LOOK_AGAIN < 1
    assert not turn.take_for_session(lambda: True)
    turn.give_back_from_session()
    assert not turn.take()
