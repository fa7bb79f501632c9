from broadcaster.alarms import ALARM_INTERVAL, Alarms, loudest_alarm
from tests.sample_messages import report

UNKNOWN = "poisoned symbols: somebody lies; {} blocks, source not known yet"
KNOWN = "poisoned symbols: somebody lies; {} blocks, source MAC 02:00:00:00:00:66 as 10.0.0.1"


def test_the_first_alarm_is_said_at_once() -> None:
    alarms = Alarms()
    assert alarms.heard(report(1), 0.0) is None
    assert alarms.heard(report(2, alarm=UNKNOWN.format(1)), 0.1) == f"ALARM at seat-2: {UNKNOWN.format(1)}"


def test_what_was_said_is_not_said_again_by_anybody() -> None:
    alarms = Alarms()
    assert alarms.heard(report(1, alarm=UNKNOWN.format(1)), 0.0)
    for second in range(1, 100):
        assert alarms.heard(report(second, alarm=UNKNOWN.format(second)), float(second)) is None


def test_the_name_of_the_liar_is_news() -> None:
    alarms = Alarms()
    assert alarms.heard(report(1, alarm=UNKNOWN.format(1)), 0.0)
    assert alarms.heard(report(1, alarm=KNOWN.format(4)), ALARM_INTERVAL - 0.1) is None
    line = alarms.heard(report(2, alarm=KNOWN.format(5)), ALARM_INTERVAL)
    assert line == f"ALARM at seat-2: {KNOWN.format(5)}"
    assert alarms.heard(report(1, alarm=KNOWN.format(9)), 3 * ALARM_INTERVAL) is None


def test_a_seat_that_invents_alarms_is_no_flood() -> None:
    alarms = Alarms()
    said = [alarms.heard(report(1, alarm=f"alarm {number}"), number / 10) for number in range(1000)]
    assert sum(line is not None for line in said) <= 100 / ALARM_INTERVAL + 1


def test_the_loudest_alarm_is_of_the_seat_that_was_lied_to_most() -> None:
    reports = [report(1)]
    assert loudest_alarm(reports) == ""
    reports.append(report(2, alarm=KNOWN.format(2), poisoned_blocks=2))
    assert loudest_alarm(reports) == f"ALARM at seat-2: {KNOWN.format(2)}"
    reports.append(report(3, alarm=KNOWN.format(7), poisoned_blocks=7))
    assert loudest_alarm(reports) == f"ALARM at seat-3 (and 1 more): {KNOWN.format(7)}"
