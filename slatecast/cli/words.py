"""Quantities as people read them."""

from rich.filesize import decimal


def bytes_in_words(count: float) -> str:
    """1.5 GB"""
    return decimal(int(count))


def rate_in_words(bits_per_second: float) -> str:
    """943 Mbit/s"""
    for unit, factor in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_second >= factor * 0.9995:  # what three digits round up to the next unit is given in that one
            return f"{bits_per_second / factor:.3g} {unit}"
    return f"{bits_per_second:.0f} bit/s"


def seconds_in_words(seconds: float) -> str:
    """1.4 s, 2 min 05 s, or 3 h 20 min"""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
