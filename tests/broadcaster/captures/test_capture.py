import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.captures.capture import ENDED, LONGEST_SILENCE, TAKEOVER_SILENCE, Capture, CaptureRecord
from protocol.capture import CaptureFailure, CaptureProgress, CaptureStep, Finding, FindingKind
from protocol.errors import RefusedError, SessionStateError
from tests.broadcaster.captures.played import OTHER_PC, PC, record

FINDING = Finding(kind=FindingKind.REFUSAL, code="bitlocker", where="partition 3", text="it is encrypted")


def capture(step: CaptureStep = CaptureStep.ORDERED) -> Capture:
    return Capture(record(step=step), 0.0)


def failure(*, is_refused: bool = False) -> CaptureFailure:
    return CaptureFailure(is_refused=is_refused, reason="no", findings=(FINDING,))


def test_the_way_of_a_capture() -> None:
    one = capture(CaptureStep.ASKED)
    assert (one.is_open, one.is_taking, one.run()) == (True, False, False)
    one.decide("anna", ("dirty",), 1.0, is_allowed=True)
    assert (one.record.step, one.order.accepts, one.order.target) == (CaptureStep.ORDERED, ("dirty",), "")
    assert one.run()
    assert not one.run()
    one.progressed(CaptureProgress(done=0.5, read_bytes=10, sent_bytes=5))
    one.progressed(CaptureProgress(done=0.25, read_bytes=11, sent_bytes=4))
    assert (one.record.done, one.record.read_bytes, one.record.sent_bytes) == (0.5, 11, 5)
    one.publish(3, (FINDING,), 2.0, is_unchanged=False)
    assert (one.state.step, one.state.version, one.news.done, one.news.findings) == (CaptureStep.DONE, 3, 1.0, 1)
    assert (one.is_open, one.ended_at, one.news.reason) == (False, 2.0, FINDING.text)


def test_the_machine_tells_once_which_disk_it_is() -> None:
    def told(target: str = "", disk_size: int = 0) -> CaptureProgress:
        return CaptureProgress(done=0.0, read_bytes=0, sent_bytes=0, target=target, disk_size=disk_size)

    one = capture()
    assert not one.progressed(told())
    assert one.progressed(told("/dev/sda \x1b[31mSAMSUNG", 1 << 30))
    assert not one.progressed(told("/dev/sdb", 1 << 40))
    assert (one.news.target, one.news.disk_size) == ("/dev/sda \N{REPLACEMENT CHARACTER}[31mSAMSUNG", 1 << 30)
    one.fail("stopped", 1.0)
    assert not one.progressed(told("/dev/sdc", 1))


def test_an_operator_refuses() -> None:
    one = capture(CaptureStep.ASKED)
    one.decide("anna", (), 1.0, is_allowed=False)
    assert (one.state.step, one.state.reason) == (CaptureStep.REFUSED, "anna has refused it")
    with pytest.raises(RefusedError, match="decided already"):
        one.decide("ben", (), 1.0, is_allowed=True)


@pytest.mark.parametrize(("is_refused", "step"), [(True, CaptureStep.REFUSED), (False, CaptureStep.FAILED)])
def test_the_machine_gives_up(is_refused: bool, step: CaptureStep) -> None:
    one = capture()
    assert one.give_up(failure(is_refused=is_refused), 1.0)
    assert not one.give_up(failure(is_refused=not is_refused), 2.0)
    assert (one.state.step, one.state.reason, one.record.findings) == (step, "no", (FINDING,))


def test_silence_for_a_day_ends_it() -> None:
    for step in (CaptureStep.ASKED, CaptureStep.ORDERED, CaptureStep.RUNNING):
        one = capture(step)
        one.hear(PC, 100.0)
        assert not one.expire(100.0 + LONGEST_SILENCE)
        assert one.expire(101.0 + LONGEST_SILENCE)
        assert "day" in one.state.reason
        assert not one.expire(1e9)


def test_only_a_silent_capture_is_taken_over_and_only_by_its_machine() -> None:
    one = capture()
    assert one.is_of(PC, "", 0.0)
    assert not one.is_of(OTHER_PC, "pc", TAKEOVER_SILENCE)
    assert not one.is_of(OTHER_PC, "another", 100.0)
    assert not one.is_of(OTHER_PC, "", 100.0)
    assert one.is_of(OTHER_PC, "pc", 100.0)
    assert one.hear(OTHER_PC, 100.0)
    assert not one.hear(OTHER_PC, 101.0)
    assert not one.is_of(PC, "pc", 101.0)


def test_trouble_is_told_once_and_passes() -> None:
    one = capture()
    assert one.trouble("full")
    assert not one.trouble("full")
    assert (one.state.reason, one.is_taking) == ("full", True)
    assert one.trouble("")
    one.fail("stopped", 1.0)
    assert not one.trouble("full")


def test_no_image_comes_of_a_capture_that_was_not_allowed() -> None:
    for step in (CaptureStep.ASKED, *ENDED):
        with pytest.raises(SessionStateError):
            capture(step).publish(1, (), 1.0, is_unchanged=False)


def _decide(one: Capture, *, is_allowed: bool) -> None:
    if one.record.step is CaptureStep.ASKED:
        one.decide("anna", (), 5.0, is_allowed=is_allowed)


def _publish(one: Capture) -> None:
    if one.is_taking:
        one.publish(1, (), 5.0, is_unchanged=False)


DEEDS: tuple[Callable[[Capture], object], ...] = (
    lambda one: one.run(),
    lambda one: one.hear(OTHER_PC, 5.0),
    lambda one: one.progressed(CaptureProgress(done=1.0, read_bytes=1, sent_bytes=1)),
    lambda one: one.trouble("full"),
    lambda one: one.give_up(failure(), 5.0),
    lambda one: one.give_up(failure(is_refused=True), 5.0),
    lambda one: one.fail("stopped", 5.0),
    lambda one: one.expire(1e9),
    lambda one: _decide(one, is_allowed=True),
    lambda one: _decide(one, is_allowed=False),
    _publish,
)


@given(st.sampled_from([CaptureStep.ASKED, CaptureStep.ORDERED]), st.lists(st.sampled_from(range(len(DEEDS)))))
def test_an_end_is_an_end_whatever_comes_late_or_twice(step: CaptureStep, deeds: list[int]) -> None:
    one = capture(step)
    stood = [one.record]
    for deed in deeds:
        DEEDS[deed](one)
        stood.append(one.record)
    for before, after in itertools.pairwise(stood):
        if before.step in ENDED:
            assert (after.step, after.reason, after.version) == (before.step, before.reason, before.version)
        assert (after.version > 0) is (after.step is CaptureStep.DONE)
    assert msgspec.json.decode(msgspec.json.encode(one.record), type=CaptureRecord) == one.record
