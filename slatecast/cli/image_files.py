"""``slatecast image files`` and ``slatecast image extract``: look into an image, and take files out of it."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.filesize import decimal

from broadcaster.library.library import Library, describe, parse_reference
from broadcaster.library.looking_inside import Entry, EntryKind, extract, list_folder
from slatecast.cli.context import Context, library_option
from slatecast.cli.progress import progress_bars

_LETTERS = {
    EntryKind.PARTITION: "p",
    EntryKind.FOLDER: "d",
    EntryKind.FILE: "-",
    EntryKind.LINK: "l",
    EntryKind.OTHER: "?",
}


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.argument("path", default="/")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@library_option
@click.pass_obj
def files(context: Context, reference: str, path: str, as_json: bool) -> None:
    """List what lies at PATH in an image or backup: /, /2 or /2/home, where 2 is a partition. Needs root."""
    library = Library.open(context.library)
    entries = list_folder(library, library.load(*parse_reference(reference)), path)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    width = max((len(str(entry.size)) for entry in entries), default=0)
    for entry in entries:
        click.echo(_line(entry, width))


@click.command("extract")
@click.argument("reference", metavar="NAME[@VERSION]")
@click.argument("path")
@click.argument("destination", type=click.Path(path_type=Path))
@library_option
@click.pass_obj
def extract_files(context: Context, reference: str, path: str, destination: Path) -> None:
    """Copy the file or folder at PATH in an image or backup to DESTINATION, which must be new. Needs root."""
    library = Library.open(context.library)
    manifest = library.load(*parse_reference(reference))
    with progress_bars() as progress:
        done = extract(library, manifest, path, destination, progress)
    left_out = f", {done.left_out} devices, pipes or sockets left out" if done.left_out else ""
    click.echo(
        f"{describe(manifest.header)}: {done.files} files ({decimal(done.bytes)}), {done.folders} folders and "
        f"{done.links} links in {destination}{left_out}"
    )


def _line(entry: Entry, width: int) -> str:
    when = "" if entry.kind is EntryKind.PARTITION else f"{_time(entry.changed)}  "
    arrow = {EntryKind.LINK: " -> ", EntryKind.PARTITION: "  "}.get(entry.kind, "")
    return f"{_LETTERS[entry.kind]} {entry.size:>{width}}  {when}{_shown(entry.name)}{arrow}{_shown(entry.target)}"


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "?" * 16


def _shown(name: str) -> str:
    """A stranger's name, so that it does nothing to a terminal and is seen as it is."""
    return "".join(
        letter if letter.isprintable() and letter != "\\" else letter.encode("unicode_escape", "replace").decode()
        for letter in name
    )
