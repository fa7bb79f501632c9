from slatecast.seat.captures import CAPTURE_RETRY, DISK_PATIENCE, CaptureDesk
from slatecast.seat.events import CaptureEnded, CaptureProgressed, RefuseCapture, StartCapture
from tests.slatecast.seat.facts import ORDER


def test_one_at_a_time_and_each_once() -> None:
    desk = CaptureDesk()
    assert desk.next_start(0.0) is None
    desk.order = ORDER
    assert desk.next_start(0.0) == StartCapture(ORDER)
    assert desk.next_start(1.0) is None
    desk.handle(CaptureEnded(ORDER.capture_id), 2.0)
    assert desk.next_start(100.0) is None
    assert desk.last == CaptureEnded(ORDER.capture_id)


def test_one_that_was_interrupted_comes_again_after_a_while() -> None:
    desk = CaptureDesk()
    desk.order = ORDER
    desk.next_start(0.0)
    desk.handle(CaptureEnded(ORDER.capture_id, "interrupted", may_try_again=True), 2.0)
    assert desk.next_start(2.0 + CAPTURE_RETRY - 0.1) is None
    assert desk.next_start(2.0 + CAPTURE_RETRY) == StartCapture(ORDER)


def test_without_a_disk_an_order_is_refused_after_a_while() -> None:
    desk = CaptureDesk()
    assert desk.without_disk("fits 2 disks", 0.0) is None
    desk.order = ORDER
    assert desk.without_disk("is being looked for", 1.0) is None
    assert desk.without_disk("fits 2 disks", 1.0 + DISK_PATIENCE - 0.1) is None
    assert desk.without_disk("fits 2 disks", 1.0 + DISK_PATIENCE) == RefuseCapture(ORDER.capture_id, "fits 2 disks")
    assert desk.without_disk("fits 2 disks", 100.0) is None, "while that is told"
    desk.handle(CaptureEnded(ORDER.capture_id, "fits 2 disks", may_try_again=True), 100.0)
    assert desk.without_disk("fits 2 disks", 200.0) is None, "nobody heard it; its time begins anew"
    assert desk.next_start(201.0) == StartCapture(ORDER), "somebody has pulled one out"


def test_it_is_told_once_to_yield() -> None:
    desk = CaptureDesk()
    assert not desk.must_yield()
    desk.order = ORDER
    desk.next_start(0.0)
    assert desk.must_yield()
    assert not desk.must_yield()


def test_progress_of_none_is_nothing() -> None:
    desk = CaptureDesk()
    desk.handle(CaptureProgressed(0.5), 0.0)
    assert desk.running is None
