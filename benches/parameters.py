"""Parameter types of the benches' command lines."""

from typing import Any, Final

import click

_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Size(click.ParamType[int]):
    """Bytes, written 65536, 512K, 256M or 1G; powers of two as memory counts."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        if isinstance(value, int):
            return value
        text = str(value)
        number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
        if not number.isdigit() or (unit and unit not in _UNITS):
            self.fail(f"{text}: write a number of bytes, or one with K, M or G, such as 256M", param, ctx)
        return int(number) * _UNITS.get(unit, 1)


class Percentages(click.ParamType[tuple[float, ...]]):
    """Percentages with commas between them, as ratios from 0 to 1: "0,0.1,1"."""

    name = "percentages"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The ratios in the order given."""
        if isinstance(value, tuple):
            return value
        try:
            ratios = tuple(float(word) / 100 for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value}: write percentages with commas between them, such as 0,0.1,1,5", param, ctx)
        if not all(0 <= ratio < 1 for ratio in ratios):
            self.fail(f"{value}: each must be at least 0 and less than 100", param, ctx)
        return ratios
