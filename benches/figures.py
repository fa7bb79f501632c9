"""Figures of a bench beside what was asked of them.

Every figure is an upper bound: it passes when what was measured is at most what was asked. A figure that could not be
measured, because a run did not come to its end, is short and not an error: the table says why.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import Outcome

TABLE_WIDTH: Final = 140
"""[columns] Of the printed tables, also in a log without a terminal."""

DECIMALS: Final = {"x": 3, "%": 2, "s": 2, "MiB": 1}
"""Digits after the point, by unit; other units count things."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a verdict."""

    what: str
    unit: str
    measured: float | None
    """None when the run gave none"""
    asked: float | None
    """at most this; None for a figure that only informs"""
    remark: str = ""

    @property
    def verdict(self) -> str:
        """In one word, or a dash where nothing is asked."""
        if self.asked is None:
            return "-"
        return "pass" if self.measured is not None and self.measured <= self.asked else "short"

    def as_json(self) -> dict[str, Any]:
        """With the verdict."""
        return asdict(self) | {"verdict": self.verdict}


def figures_table(figures: Iterable[Figure]) -> Table:
    """A row for each figure."""
    table = Table("figure", "asked", "measured", "verdict", "remark")
    for figure in figures:
        asked = "" if figure.asked is None else f"<= {_in_words(figure.asked, figure.unit)}"
        measured = "none" if figure.measured is None else _in_words(figure.measured, figure.unit)
        table.add_row(figure.what, asked, measured, figure.verdict, figure.remark)
    return table


def conclude(
    console: Console,
    machine: Mapping[str, str],
    figures: Sequence[Figure],
    outcomes: Mapping[str, Sequence[Outcome]],
    json_path: Path | None,
) -> None:
    """Print the verdict and write everything to ``json_path``; ``outcomes`` by case, each with its runs.

    Raises:
        click.ClickException: a program said that it succeeded and its file is not the source. A short figure is a
            result; a wrong byte is a failure.
    """
    console.print(figures_table(figures))
    if json_path is not None:
        everything = {
            "machine": dict(machine),
            "figures": [figure.as_json() for figure in figures],
            "outcomes": {case: [asdict(outcome) for outcome in runs] for case, runs in outcomes.items()},
        }
        json_path.write_text(json.dumps(everything, indent=2))
    for case, runs in outcomes.items():
        for outcome in runs:
            if outcome.liars:
                raise click.ClickException(f"{case}: wrong bytes at {', '.join(outcome.liars)}, which said success")


def ratio(value: float | None, base: float | None) -> float | None:
    """``value / base``, or None where there is either of them missing."""
    return value / base if value is not None and base else None


def median_of(values: Iterable[float | None]) -> float | None:
    """The median, or None when any run has no value: one that did not end is no fast one."""
    found = list(values)
    present = [value for value in found if value is not None]
    return median(present) if found and len(present) == len(found) else None


def session_seconds(outcome: Outcome) -> float | None:
    """From the start of sending to the end of the session, if all seats are verified."""
    return float(outcome.report["seconds"]) if outcome.verified and outcome.report else None


def whole_seconds(outcome: Outcome) -> float | None:
    """Of the whole command, if all seats are verified."""
    return outcome.seconds if outcome.verified else None


def seat_reports(outcome: Outcome, name: str) -> list[dict[str, Any]]:
    """What the report says of a seat; a seat whose receiver was started again may have several, the last one last."""
    seats = [seat for seat in outcome.report.get("seats", []) if seat["seat"] == name]
    return sorted(seats, key=lambda seat: (seat["verified"], seat["seconds"]))


def seat_seconds(outcome: Outcome, names: Sequence[str]) -> float | None:
    """From the start of sending until the last of these seats is verified, or None when one is not."""
    seats = [seat_reports(outcome, name)[-1:] for name in names]
    if not all(seat and seat[0]["verified"] for seat in seats):
        return None
    return max((float(seat["seconds"]) for (seat,) in seats), default=None)


def repair_ratio(outcome: Outcome) -> float | None:
    """Repair datagrams for each datagram of the first pass."""
    report = outcome.report
    return (
        ratio(report.get("repair_datagrams"), report["datagrams_sent"] - report["repair_datagrams"]) if report else None
    )


def catch_up_bytes(outcome: Outcome) -> int:
    """What all seats together fetched beside the group."""
    return sum(int(seat.get("catch_up_bytes", 0)) for seat in outcome.report.get("seats", []))


def why_short(outcome: Outcome) -> str:
    """In words, which programs did not do their part, or nothing."""
    if outcome.is_late:
        return f"still running after {outcome.seconds:.0f} s"
    bad = [
        f"{seat['seat']} {seat['outcome']}" + (f" ({seat['reason']})" if seat["reason"] else "")
        for seat in outcome.report.get("seats", [])
        if not seat["verified"]
    ]
    if bad:
        return "; ".join(bad)
    codes = {outcome.sender.exit_code, *outcome.exit_codes.values()} - {0}
    return f"exit codes {', '.join(map(str, sorted(codes)))}" if codes and not outcome.verified else ""


def _in_words(value: float, unit: str) -> str:
    number = f"{value:,.{DECIMALS.get(unit, 0)}f}"
    return f"{number} {unit}"
