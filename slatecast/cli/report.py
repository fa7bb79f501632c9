"""``slatecast report``: check what the report of a cast says against the keys that it must come from."""

from functools import partial
from pathlib import Path

import click

from broadcaster.directors import was_director
from broadcaster.report import SessionReport
from broadcaster.report_check import MAX_REPORT_LENGTH, check_seats, check_whole, decode_report
from protocol.errors import ConfigError, MessageError
from slatecast.cli.context import Context, keys_option
from slatecast.cli.proof import EXIT_MISMATCH, believed_trust, one_line


@click.group()
def report() -> None:
    """Check the reports of casts."""


@report.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Trust file of the broadcaster.  [default: the one beside its keys]",
)
@keys_option
@click.pass_obj
def verify(context: Context, file: Path, trust: Path | None) -> int:
    """Check that the report in FILE is as its broadcaster signed it, and every verified seat as its receiver did.

    Needs no network and no broadcaster, only its trust file. Exits with 5 when anything does not match.
    """
    believed = believed_trust(trust, context.keys)
    is_director = partial(was_director, believed)
    checked = _read(file)
    whole = check_whole(checked, is_director)
    seats = check_seats(checked, is_director)
    for seat in seats:
        click.echo(one_line(f"{'ok ' if seat.is_good else 'BAD'} {seat.seat}: {seat.text}"))
    if not whole and checked.director_key != believed.director_key:
        click.echo("note: signed with a director key that was replaced since; if it was stolen, this proves nothing")
    bad = sum(not seat.is_good for seat in seats)
    title = f"report of session {checked.session}, image {checked.image} version {checked.version}"
    if whole:
        click.echo(one_line(f"BAD {title}: {whole}"))
    elif bad:
        click.echo(one_line(f"BAD {title}: {bad} of {len(seats)} seats do not match"))
    else:
        proved = sum(seat.verified for seat in checked.seats)
        click.echo(one_line(f"ok  {title}: {proved} of {len(seats)} seats are proved to be verified"))
    return EXIT_MISMATCH if whole or bad else 0


def _read(path: Path) -> SessionReport:
    try:
        with path.open("rb") as file:
            encoded = file.read(MAX_REPORT_LENGTH + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return decode_report(encoded)
    except MessageError as error:
        raise ConfigError(f"{path} is no report of a cast ({error}); 'slatecast cast --report' writes one") from None
