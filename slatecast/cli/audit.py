"""``slatecast audit``: show and check the log of who had which disks overwritten."""

import json
import re
from functools import partial
from pathlib import Path

import click
import msgspec

from broadcaster.audit import AUDIT_FILE, AuditEntry
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.directors import was_director
from protocol.errors import ConfigError
from slatecast.cli.context import Context, keys_option, library_option
from slatecast.cli.proof import EXIT_MISMATCH, believed_trust, one_line

file_argument = click.argument("file", type=click.Path(path_type=Path), required=False)


@click.group()
def audit() -> None:
    """Look into the audit log: who had which disks overwritten, when, and with what.

    FILE is a copy of the log; without it, the one in the library.
    """


@audit.command()
@file_argument
@click.option("--head", metavar="HEX", help="The audit_head of a report: an entry that must be in the log.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Trust file of the broadcaster.  [default: the one beside its keys]",
)
@keys_option
@library_option
@click.pass_obj
def verify(context: Context, file: Path | None, head: str | None, trust: Path | None) -> int:
    """Check that every entry of the log is there as the broadcaster wrote it.

    Only --head can tell that the end was cut off. Exits with 5 when anything was altered, removed, moved or put in.
    """
    if head is not None and not re.fullmatch("[0-9a-fA-F]{64}", head):
        raise ConfigError("--head takes the 64 hex digits that a report has as audit_head")
    path = file or context.library / AUDIT_FILE
    is_director = partial(was_director, believed_trust(trust, context.keys))
    verdict = verify_audit(path, is_director, None if head is None else head.lower())
    for text in verdict.notes:
        click.echo(one_line(f"note: {text}"))
    for text in verdict.faults:
        click.echo(one_line(f"BAD {text}"))
    if verdict.is_good:
        click.echo(one_line(f"ok  {path}: {verdict.entries} entries, head {verdict.head}"))
        return 0
    click.echo(one_line(f"BAD {path}: this is not the log that the broadcaster wrote"))
    return EXIT_MISMATCH


@audit.command()
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@library_option
@click.pass_obj
def show(context: Context, file: Path | None, as_json: bool) -> None:
    """Print the log, one entry a line; nothing is checked."""
    entries = read_entries(file or context.library / AUDIT_FILE)
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        click.echo(_in_words(entry))


def _in_words(entry: AuditEntry) -> str:
    fields = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.fields.items() if value != "")
    return one_line(f"{entry.number:6} {entry.time} {entry.event}{': ' if fields else ''}{fields}")
