import itertools
from typing import Any

import pytest

from broadcaster.captures import register as module
from broadcaster.captures.capture import LONGEST_SILENCE, TAKEOVER_SILENCE
from broadcaster.captures.register import AT_ONCE, ENDED_KEPT, ENDED_TOLD, MAX_ASKED, QUIET, CaptureRegister, Moment
from protocol.capture import CaptureFailure, CaptureStep, CaptureWish
from protocol.errors import ConfigError, RefusedError
from tests.broadcaster.captures.played import OTHER_PC, PC, Present, Room, record

NOW = Moment(100.0, 1000.0)


def register(*present: Present) -> CaptureRegister:
    numbers = itertools.count(1)
    return CaptureRegister(Room(*present), lambda: f"{next(numbers):016x}", lambda _machine: 5)


def here(number: int = 1) -> Present:
    return Present(f"{number:032x}", f"pc-{number}")


def wish(**changes: Any) -> CaptureWish:
    return CaptureWish(**{"image": "windows", "machine": "pc-1", "target": "disk", "disk_size": 5, **changes})


def test_a_machine_that_is_there_is_ordered() -> None:
    captures = register(here())
    one = captures.order("pc-1", "windows", "anna", NOW, accepts=("dirty",))
    assert (one.record.machine, one.record.ordered_by, one.record.accepts) == ("pc-1", "anna", ("dirty",))
    assert captures.order_for(here().receiver_id, 101.0) == one.order
    assert captures.order_for(here(2).receiver_id, 101.0) is None
    with pytest.raises(RefusedError, match="is ordered already"):
        captures.order("pc-1", "other", "ben", NOW)
    with pytest.raises(RefusedError, match="not there"):
        captures.order("pc-2", "windows", "anna", NOW)
    with pytest.raises(ConfigError, match="those of backups"):
        captures.order("pc-1", "backup-pc-1", "anna", NOW)
    one.fail("stopped", 102.0)
    assert captures.order_for(here().receiver_id, 103.0) is None
    assert captures.order("pc-1", "other", "ben", NOW).record.image == "other"


def test_a_backup_that_is_on_its_way_is_ordered_once() -> None:
    captures = register(here())
    one = captures.back_up("pc-1", "anna", NOW)
    assert (one.record.image, one.record.is_backup, one.record.kept) == ("backup-pc-1", True, 5)
    assert captures.back_up("pc-1", "ben", NOW) is one
    one.fail("stopped", 100.0)
    captures.order("pc-1", "windows", "anna", NOW)
    with pytest.raises(RefusedError, match="windows is ordered"):
        captures.back_up("pc-1", "anna", NOW)


def test_only_so_many_begin_at_once() -> None:
    captures = register(*map(here, range(1, AT_ONCE + 2)))
    for number in range(1, AT_ONCE + 2):
        captures.back_up(f"pc-{number}", "anna", NOW)
    for number in range(1, AT_ONCE + 1):
        order = captures.order_for(here(number).receiver_id, 101.0)
        assert order is not None
        captures.need(order.capture_id).run()
    last = here(AT_ONCE + 1).receiver_id
    assert captures.order_for(last, 101.0) is None
    assert captures.order_for(here().receiver_id, 101.0) is not None, "what runs is told again"
    assert captures.order_for(last, 101.0 + QUIET) is not None


def test_a_wish_waits_for_an_operator_and_is_the_same_when_repeated() -> None:
    captures = register(here())
    one, is_new = captures.wish(here().receiver_id, wish(target="disk\x1b[2J"), NOW)
    assert (is_new, one.record.step, one.record.target) == (True, CaptureStep.ASKED, "disk\N{REPLACEMENT CHARACTER}[2J")
    assert captures.wish(here().receiver_id, wish(), NOW) == (one, False)
    assert captures.order_for(here().receiver_id, 101.0) is None
    other, is_new = captures.wish(here().receiver_id, wish(image="linux"), NOW)
    assert (is_new, other.record.image, one.record.step) == (True, "linux", CaptureStep.FAILED)
    with pytest.raises(ConfigError):
        captures.wish(here().receiver_id, wish(image="backup-pc-2"), NOW)


def test_a_wish_finds_what_was_ordered_for_the_machine() -> None:
    captures = register(here())
    ordered = captures.order("pc-1", "windows", "anna", NOW)
    assert captures.wish(PC, wish(), NOW) == (ordered, False)
    with pytest.raises(RefusedError, match="is ordered already"):
        captures.wish(PC, wish(image="linux"), NOW)


def test_a_machine_that_was_started_anew_goes_on_with_its_wish() -> None:
    captures = register()
    one, _ = captures.wish(PC, wish(), NOW)
    one.decide("anna", (), 101.0, is_allowed=True)
    one.run()
    with pytest.raises(RefusedError, match="is running already"):
        captures.wish(OTHER_PC, wish(image="linux"), Moment(102.0, 0.0))
    captures = register(Present(OTHER_PC, "pc"))
    one = captures.take_up(record(step=CaptureStep.RUNNING), 0.0)
    late = TAKEOVER_SILENCE + 1
    assert captures.find(OTHER_PC, one.record.capture_id, 1.0) is None
    assert captures.find(OTHER_PC, one.record.capture_id, late) is one
    assert captures.find(PC, one.record.capture_id, 1.0) is one
    assert captures.wish(OTHER_PC, wish(machine="another"), Moment(late, 0.0)) == (one, False)


def test_what_waits_for_operators_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = register()
    for number in range(MAX_ASKED):
        captures.wish(here(number).receiver_id, wish(machine=f"pc-{number}"), NOW)
    with pytest.raises(RefusedError, match="wait for an operator already"):
        captures.wish(PC, wish(machine="one more"), NOW)
    monkeypatch.setattr(module, "MAX_OPEN", MAX_ASKED)
    full = register(here())
    for number in range(MAX_ASKED):
        full.take_up(record(capture_id=f"{number + 1000:016x}", machine=f"other {number}"), 0.0)
    with pytest.raises(RefusedError, match="are open already"):
        full.order("pc-1", "windows", "anna", NOW)


def test_the_silent_are_given_up_and_the_ended_forgotten() -> None:
    captures = register(here())
    one = captures.order("pc-1", "windows", "anna", NOW)
    assert captures.expire(NOW.now + LONGEST_SILENCE) == ([], [])
    end = NOW.now + LONGEST_SILENCE + 1
    assert captures.expire(end) == ([one], [])
    assert [each.step for each in captures.news(end)] == [CaptureStep.FAILED]
    assert captures.news(end + ENDED_TOLD) == []
    assert captures.need(one.record.capture_id) is one
    assert captures.expire(end + ENDED_KEPT + 1) == ([], [one.record.capture_id])
    with pytest.raises(RefusedError, match="there is no capture"):
        captures.need(one.record.capture_id)


def test_findings_and_news() -> None:
    captures = register(here())
    one = captures.order("pc-1", "windows", "anna", NOW)
    assert captures.findings(one.record.capture_id) == ()
    one.give_up(CaptureFailure(is_refused=True, reason="no"), 101.0)
    assert [(each.machine, each.began_at, each.reason) for each in captures.news(102.0)] == [("pc-1", 1000.0, "no")]
