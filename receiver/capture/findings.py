"""Everything that an operator should know of a disk before it becomes an image, in the order in which it matters.

Refusals come first. A backup is put back on the machine that it came from, so its identity and secrets belong in it,
and whatever state it is in is better kept than lost: for a backup nothing of this is a refusal.
"""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from protocol.capture import MAX_FINDINGS, Finding, FindingKind
from protocol.disk.mounts import MOUNTABLE
from protocol.fields import MAX_LONG_TEXT, printable
from receiver.capture import linux_findings, windows_findings
from receiver.capture.disk_findings import disk_findings, place
from receiver.capture.linux_findings import linux_traces
from receiver.capture.reading import Survey
from receiver.capture.traces import Trace
from receiver.capture.tree import mounted_tree
from receiver.capture.windows_findings import windows_traces

_SEARCHED: Final = frozenset(MOUNTABLE) - {"vfat", "exfat"}
"""File systems that are looked into: nobody's identity lies on a FAT, but every UEFI disk has one."""

_SHOWN_PATHS: Final = 3


def find_all(survey: Survey, *, is_backup: bool) -> tuple[Finding, ...]:
    """The findings on a surveyed disk.

    Raises:
        LibraryError: a tool that there is no way around is missing.
    """
    found = list(disk_findings(survey))
    if is_backup:
        found = [msgspec.structs.replace(each, kind=FindingKind.WARNING) for each in found]
    else:
        found += _lint(survey)
    found.sort(key=lambda each: each.kind is not FindingKind.REFUSAL)
    return tuple(found[:MAX_FINDINGS])


def refusals(findings: Collection[Finding], accepts: Collection[str]) -> list[Finding]:
    """Those that stop the capture: no operator has accepted their code."""
    return [each for each in findings if each.kind is FindingKind.REFUSAL and each.code not in accepts]


def _lint(survey: Survey) -> Iterator[Finding]:
    """Look into every file system that can be mounted, for what must not be on two machines."""
    for partition in survey.table.partitions:
        if partition.filesystem not in _SEARCHED:
            continue
        where = place(partition)
        try:
            with mounted_tree(survey.source, partition) as tree:
                traces = [*linux_traces(tree), *windows_traces(tree)]
        except OSError as error:
            text = f"was not searched for identity and secrets: {error}"
            yield _warning("not-searched", where, text)
            continue
        yield from (_told(code, where, traces) for code in dict.fromkeys(trace.code for trace in traces))


def _told(code: str, where: str, traces: list[Trace]) -> Finding:
    """One finding for all places of a code."""
    paths = [f"/{trace.path}" for trace in traces if trace.code == code]
    more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
    is_windows = any(path.casefold().startswith(("/windows", "/programdata", "/users")) for path in paths)
    first, second = (windows_findings, linux_findings) if is_windows else (linux_findings, windows_findings)
    words = first.WORDS.get(code) or second.WORDS[code]
    return _warning(code, where, f"{', '.join(paths[:_SHOWN_PATHS])}{more}: {words}")


def _warning(code: str, where: str, text: str) -> Finding:
    plain = printable(text)
    return Finding(kind=FindingKind.WARNING, code=code, where=where, text=plain[:MAX_LONG_TEXT])
