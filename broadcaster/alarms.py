"""What the seats raise the alarm about, in lines for the operator: each new thing once, and no flood of them. Pure.

Every seat that a false symbol has reached says the same in its own words, twice a second. So a line is said when the
first seat raises an alarm, and later at most one every ALARM_INTERVAL, while seats say what was not said before.
"""

from collections.abc import Iterable
from typing import Final

from broadcaster.report import SeatReport
from protocol.messages import ReceiverReport

ALARM_INTERVAL: Final = 5.0
"""[s] From one line to the next: who lies is known some 5 s after the first alarm, and an operator reads along."""


class Alarms:
    """The alarms of one session as they come in."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._silent_until = 0.0

    def heard(self, report: ReceiverReport, now: float) -> str | None:
        """The line to say now, or None."""
        if not report.alarm or now < self._silent_until:
            return None
        what, _, who = report.alarm.partition(";")
        news = (what, who.partition(",")[2])  # the number of blocks in between only grows
        if news in self._said:
            return None
        self._said.add(news)
        self._silent_until = now + ALARM_INTERVAL
        return f"ALARM at {report.seat}: {report.alarm}"


def loudest_alarm(reports: Iterable[ReceiverReport | SeatReport]) -> str:
    """The alarm of the seat that was lied to most, and how many others raise one; empty where nobody does."""
    alarmed = [report for report in reports if report.alarm]
    if not alarmed:
        return ""
    worst = max(alarmed, key=lambda report: (report.poisoned_blocks, report.seat))
    others = f" (and {len(alarmed) - 1} more)" if len(alarmed) > 1 else ""
    return f"ALARM at {worst.seat}{others}: {worst.alarm}"
