"""Which disk an operator means: a path, a description, or ``auto``; never a guess.

    /dev/sda, disk.img          exactly this one
    auto                        the only disk that is not removable, not read-only, not in use and not to be kept
    size>=200G,bus=nvme         the only such disk that fits all terms: serial=, wwn=, model= (Samsung*), bus=,
                                size>=, size<= (G is 10^9 bytes, Gi is 2^30)

Names of disks change from boot to boot, descriptions do not. A rule that fits no disk or several is refused, and the
disks that it could mean are named. Removable and USB disks are meant only where serial, wwn, model or bus says so.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final

from protocol.errors import TargetError
from receiver.target import TargetInfo, inspect_target, list_disks

_LOOKS_LIKE_TERM: Final = re.compile(r"\w+\s*[<>]?=")
_TERM: Final = re.compile(r"(serial|wwn|model|bus)\s*(=)\s*(.+)|(size)\s*(>=|<=)\s*(.+)")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_UNITS: Final = ("", "k", "m", "g", "t")
_WWN_PREFIX: Final = re.compile(r"^(0x|naa\.|eui\.|uuid\.)")
"""udev writes 0x..., the kernel naa...., for one and the same number."""

_Test = Callable[[TargetInfo], bool]


def resolve_target(rule: str) -> TargetInfo:
    """The target that ``rule`` means; whether it may be written says ``check_target``.

    Raises:
        TargetError: no rule, no disk fits, several fit, or no possible target at that path.
    """
    if rule in ("", "auto") or _LOOKS_LIKE_TERM.match(rule):
        return inspect_target(choose_disk(rule, list_disks()).path)
    return inspect_target(rule)


def choose_disk(rule: str, disks: Iterable[TargetInfo]) -> TargetInfo:
    """The one of ``disks`` that ``auto`` or a description means.

    Raises:
        TargetError: not a description, or not exactly one disk fits.
    """
    terms = [] if rule == "auto" else [term.strip() for term in rule.split(",")]
    tests = [_parse_term(rule, term) for term in terms]
    if not any(term.startswith(("serial", "wwn", "model", "bus")) for term in terms):
        tests.append(lambda disk: not disk.removable)
    seen = list(disks)
    fitting = [disk for disk in seen if all(test(disk) for test in tests)]
    free = [disk for disk in fitting if not disk.use and not disk.keep_label and not disk.read_only]
    if len(free) == 1:
        return free[0]
    if free:
        raise TargetError(rule, f"fits {len(free)} disks, name one by serial=: {_join(free)}")
    if fitting:
        raise TargetError(rule, f"fits only disks that cannot be written: {_join(fitting)}")
    raise TargetError(rule, f"fits no disk of this machine; it has: {_join(seen) or 'none'}")


def _parse_term(rule: str, term: str) -> _Test:
    match = _TERM.fullmatch(term)
    if match is None:
        raise TargetError(rule, f"{term!r} is not understood; write serial=, wwn=, model=, bus=, size>= or size<=")
    key, operator, value = (group for group in match.groups() if group is not None)
    if key == "size":
        size = _size(rule, value)
        return (lambda disk: disk.size >= size) if operator == ">=" else (lambda disk: disk.size <= size)
    wanted = _normalise(key, value)
    return lambda disk: fnmatchcase(_normalise(key, getattr(disk, key)), wanted)


def _normalise(key: str, value: str) -> str:
    """As different tools write one value: in any case, with underscores for spaces (udev), with or without a prefix."""
    plain = value.strip().lower().replace("_", " ")
    return _WWN_PREFIX.sub("", plain) if key == "wwn" else plain


def parse_size(text: str) -> float | None:
    """The bytes that somebody means by 250G, 232Gi or 1000; None if that is no size."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    number, unit, binary = match.groups()
    base = 1024.0 if binary else 1000.0
    return float(number) * base ** _UNITS.index(unit.lower())


def _size(rule: str, text: str) -> float:
    size = parse_size(text)
    if size is None:
        raise TargetError(rule, f"{text!r} is not a size; write it like 250G or 232Gi")
    return size


def _join(disks: Iterable[TargetInfo]) -> str:
    return "; ".join(str(disk) for disk in disks)
