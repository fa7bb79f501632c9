"""Quantities as people read them on a page. Pure.

What is shown never promises more than it knows: a share is rounded down, so that 100 % means all of it.
"""

import math
from typing import Final

from rich.filesize import decimal

NOTHING: Final = "\N{EN DASH}"
"""stands where nobody can tell"""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def bytes_in_words(count: float | None) -> str:
    """1.5 GB"""
    return NOTHING if count is None else decimal(int(count))


def rate_in_words(bits_per_second: float) -> str:
    """943 Mbit/s; 0 is "0 bit/s"."""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_second >= factor * 0.9995:  # what three digits round up to the next unit is given in that one
            return f"{_three_digits(bits_per_second / factor)} {unit}"
    return f"{bits_per_second:.0f} bit/s"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def duration_in_words(seconds: float | None) -> str:
    """45 s, 2 min 05 s, 3 h 20 min, or 2 d 4 h; what is not known is a dash."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def age_in_words(seconds: float | None) -> str:
    """How long ago: just now, 8 s ago, 3 min 20 s ago, or never."""
    if seconds is None:
        return "never"
    return "just now" if seconds < 2 else f"{duration_in_words(seconds)} ago"


def share_in_words(ratio: float, digits: int = 0) -> str:
    """42 %, rounded down, so that only what is complete is shown as 100 %."""
    scale = 10**digits
    # 0.29 * 100 is 28.999999999999996: what is that near to the next step has reached it
    return f"{math.floor(min(max(ratio, 0.0), 1.0) * 100 * scale + 1e-6) / scale:.{digits}f} %"


def loss_in_words(ratio: float) -> str:
    """0 %, < 0.1 %, 2.5 % or 14 %: rounded up below the first step, so that loss is never shown as none."""
    if ratio <= 0:
        return "0 %"
    if ratio < 0.001:
        return "< 0.1 %"
    return f"{ratio * 100:.1f} %" if ratio < 0.1 else f"{ratio * 100:.0f} %"


def count_in_words(count: int, one: str, many: str = "") -> str:
    """1 seat, 2 seats"""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or one + 's'}"
