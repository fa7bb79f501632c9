"""Parameter types that several commands share, and how a secret among them is kept."""

import os
import re
from pathlib import Path
from typing import Any, Final

import click

_RATE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kKmMgG]?)(?:bit(?:/s)?)?")
_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
MIN_RATE: Final = 100_000
"""[bit/s] Below this a GiB takes a day, so it is a typing error."""


class Rate(click.ParamType[int]):
    """Bits per second, written 900M, 1.5G or 250000k; powers of ten as networks count."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The rate in bits per second."""
        if isinstance(value, int):
            return value
        match = _RATE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a rate: write 900M or 1G (bits per second)", param, ctx)
        rate = int(float(match["number"]) * _FACTORS[match["unit"].lower()])
        if rate < MIN_RATE:
            self.fail(f"{value!r} is only {rate} bit/s: write 900M for 900 Mbit/s", param, ctx)
        return rate


def keep_from_children(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of an option that holds a secret: whatever this process starts does not inherit it."""
    if context.auto_envvar_prefix and parameter.name:
        os.environ.pop(f"{context.auto_envvar_prefix}_{parameter.name.upper()}", None)
    return value


ca_file_option: Final = click.option(
    "--ca-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="PEM file of the authority that signed the certificate of an mqtts broker.",
)
