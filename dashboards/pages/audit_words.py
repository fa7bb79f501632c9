"""Entries of the audit log in words: who ordered what, where, and what came of it. Pure.

An entry says what the process that wrote it knew, and another version of the program may have written it: what is not
known here is shown as it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboards.pages.moments import moment_of
from dashboards.pages.seat_words import plain

MOST_SHOWN: Final = 400
"""[characters] of the words of an entry: as long as a reason may be"""

_TOLD: Final = {
    "cast started": "{image} version {version} was started for {expected_seats} seats",
    "receiver admitted": "{seat} was let in by {how}",
    "order given": "{seat} was ordered to overwrite its disk",
    "seat ended": "{seat}: {outcome}",
    "cast ended": "the session ended: {reason}",
    "capture ordered": "the disk of {machine} was ordered into the library as {image}",
    "capture ended": "the capture of {machine} into {image} ended without an image: {outcome}",
    "image added": "{image} version {version} was added to the library",
    "image signed": "{image} version {version} was signed",
    "image removed": "{image} version {versions} was removed from the library",
    "keys rotated": "the keys of the room were changed",
    "torn line": "half a line that was never finished was found and told of",
}
"""by event; a field that an entry does not have is shown as a question mark"""

_HIDDEN: Final = frozenset({"session", "operator", "user", "host"})


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry as the page shows it."""

    number: int
    at: float | None
    """seconds since 1970; None when it tells no time"""
    who: str
    """the operator, or the user of the operating system on its host"""
    what: str
    event: str
    session: str
    """tsi, or empty"""
    details: str
    """every other field as it stands"""


class _Fields(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def audit_line(entry: Mapping[str, Any]) -> AuditLine:
    """An entry of ``Desk.audit`` in words; never raises."""
    given = entry.get("fields")
    fields = _Fields({str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else {})
    event = str(entry.get("event", ""))
    number = entry.get("number")
    # Values go in by name: braces that somebody wrote into one are not looked at again.
    what = _TOLD[event].format_map(fields) if event in _TOLD else event
    if event in {"seat ended", "capture ended"} and fields.get("reason"):
        what += f" ({fields['reason']})"
    if fields.get("resumed") == "1":
        what += ", going on after a stop"
    details = ", ".join(f"{name}: {value}" for name, value in fields.items() if name not in _HIDDEN)
    return AuditLine(
        number=number if isinstance(number, int) else 0,
        at=moment_of(str(entry.get("time", ""))),
        who=plain(_who(fields))[:MOST_SHOWN],
        what=plain(what)[:MOST_SHOWN],
        event=plain(event)[:MOST_SHOWN],
        session=fields.get("session", ""),
        details=plain(details)[:MOST_SHOWN],
    )


def _who(fields: Mapping[str, str]) -> str:
    if fields.get("operator"):
        return fields["operator"]
    if fields.get("user"):
        return f"{fields['user']} on {fields['host']}" if fields.get("host") else fields["user"]
    return ""
