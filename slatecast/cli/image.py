"""``slatecast image``: add, sign, list, show, verify, export and remove the images of a library."""

import json
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from broadcaster.audit import AuditEvent
from broadcaster.keys import KeyStore, read_signing_key
from broadcaster.library.adding import AddOutcome, add_image
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library, describe, parse_reference
from broadcaster.library.removing import remove_image
from broadcaster.library.signing import sign_image, signature_or_none
from broadcaster.library.verifying import verify_image
from protocol.backup_names import is_backup
from protocol.disk.codec import DEFAULT_LEVEL, LEVELS
from protocol.errors import ConfigError, IntegrityError
from protocol.manifest import Manifest, ManifestHeader, PartitionInfo
from protocol.words import fingerprint_words
from slatecast.cli.auditing import write_down
from slatecast.cli.context import Context, keys_option, library_option
from slatecast.cli.image_capture import capture
from slatecast.cli.image_files import extract_files, files
from slatecast.cli.image_shrink import shrink
from slatecast.cli.progress import progress_bars
from slatecast.cli.tables import facts_table, output_console

_UNSIGNED: Final = "nobody"

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
image_argument = click.argument("reference", metavar="NAME[@VERSION]")


@click.group()
def image() -> None:
    """Keep disk images in the library."""


@image.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the image; a name that is there gets a new version.")
@click.option(
    "--level",
    type=click.IntRange(LEVELS.start, LEVELS.stop - 1),
    default=DEFAULT_LEVEL,
    show_default=True,
    help="Compression level of zstd.",
)
@library_option
@keys_option
@click.pass_obj
def add(context: Context, source: Path, name: str, level: int) -> None:
    """Add SOURCE: a raw or sparse file, a block device, or a qcow2, vmdk, vhdx, vdi or vhd file.

    The image is signed with the image key of this broadcaster, which is made if there is none yet.
    """
    library = Library.open_or_create(context.library)
    store = KeyStore.open_or_create(context.keys)
    start = time.monotonic()
    with progress_bars() as progress:
        outcome = add_image(
            library, source, name, level=level, signer=store.image, progress=progress, on_wait=_say_waiting
        )
    header = outcome.manifest.header
    write_down(context.library, store, AuditEvent.IMAGE_ADDED, image=header.name, version=header.version)
    _print_outcome(outcome, time.monotonic() - start)
    if outcome.signature is None:
        click.echo(
            f"the image key is kept elsewhere: before {name} can be cast, "
            f"'slatecast image sign {name} --image-key FILE' must sign it",
            err=True,
        )


@image.command()
@image_argument
@click.option("--image-key", type=click.Path(path_type=Path, dir_okay=False), help="File of the image key.")
@library_option
@keys_option
@click.pass_obj
def sign(context: Context, reference: str, image_key: Path | None) -> None:
    """Vouch for an image with an image key, so that it may be cast.

    Takes the image key of this broadcaster, or the one that is kept elsewhere in the file of --image-key.
    """
    library = Library.open(context.library)
    name, version = parse_reference(reference)
    store = KeyStore.open_or_create(context.keys)
    signer = store.image if image_key is None else read_signing_key(image_key)
    if signer is None:
        raise ConfigError("the image key is kept elsewhere: name its file with --image-key")
    manifest = sign_image(library, name, version, signer, on_wait=_say_waiting)
    header = manifest.header
    write_down(context.library, store, AuditEvent.IMAGE_SIGNED, image=header.name, version=header.version)
    click.echo(f"{describe(header)}: signed by {' '.join(fingerprint_words(signer.public))}")


@image.command("list")
@click.option("--backups", is_flag=True, help="List the backups of machines as well.")
@json_option
@library_option
@click.pass_obj
def list_images(context: Context, backups: bool, as_json: bool) -> None:
    """List the images, newest version of each."""
    if not context.library.exists():
        headers, signers = [], []
    else:
        library = Library.open(context.library)
        headers = [header for header in library.images() if backups or not is_backup(header.name)]
        # A manifest's digest, which is what is signed, covers its header alone; the rows can stay where they are.
        signers = [_signer(library, Manifest(header, b"")) for header in headers]
    if as_json:
        _print_json([_as_dict(header, signer) for header, signer in zip(headers, signers, strict=True)])
        return
    if not headers:
        click.echo(f"no images in {context.library}: 'slatecast image add SOURCE --name NAME' adds one")
        return
    table = Table(
        "name",
        "version",
        "disk",
        "stored",
        "table",
        "partitions",
        "created",
        "signed by",
        box=None,
        header_style="bold",
    )
    for header, signer in zip(headers, signers, strict=True):
        table.add_row(
            header.name,
            str(header.version),
            decimal(header.disk_size),
            decimal(header.stored_bytes),
            header.partition_table,
            escape(", ".join(partition.filesystem or "?" for partition in header.partitions)),
            header.created,
            signer or _UNSIGNED,
        )
    output_console().print(table)


@image.command()
@image_argument
@json_option
@library_option
@click.pass_obj
def show(context: Context, reference: str, as_json: bool) -> None:
    """Show all about one image."""
    library = Library.open(context.library)
    manifest = library.load(*parse_reference(reference))
    header = manifest.header
    versions = library.versions(header.name)
    signer = _signer(library, manifest)
    if as_json:
        _print_json({**_as_dict(header, signer), "digest": manifest.digest.hex(), "versions": versions})
        return
    facts = facts_table(
        (
            ("image", f"{header.name}, version {header.version} (here: {', '.join(map(str, versions))})"),
            ("digest", manifest.digest.hex()),
            ("signed by", signer or _UNSIGNED),
            ("created", header.created),
            ("source", header.source),
            ("disk", f"{_exactly(header.disk_size)}, sectors of {header.logical_sector_size} bytes"),
            ("partition table", header.partition_table),
            ("stored", f"{_exactly(header.stored_bytes)} in {header.stored_chunk_count} chunks, {_ratio(manifest)}"),
        )
    )
    console = output_console()
    console.print(facts)
    console.print(_partition_table(header.partitions))


@image.command()
@image_argument
@library_option
@click.pass_obj
def verify(context: Context, reference: str) -> None:
    """Hash every chunk of an image again and name the damaged ones; check its signature."""
    library = Library.open(context.library)
    manifest = library.load(*parse_reference(reference))
    signature = library.signature(manifest)
    with progress_bars() as progress:
        damages = verify_image(library, manifest, progress)
    for damage in damages:
        click.echo(str(damage), err=True)
    if damages:
        raise IntegrityError(
            f"{describe(manifest.header)}: {len(damages)} of {len(manifest)} chunks are damaged; "
            "adding its source again repairs them; the first",
            damages[0].expected,
            damages[0].actual,
        )
    signed = "not signed" if signature is None else f"signed by {' '.join(fingerprint_words(signature.key))}"
    click.echo(f"{describe(manifest.header)}: all {len(manifest)} chunks are sound; {signed}")


@image.command()
@image_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@library_option
@click.pass_obj
def export(context: Context, reference: str, file: Path, force: bool) -> None:
    """Write the disk of an image to a sparse raw FILE."""
    library = Library.open(context.library)
    manifest = library.load(*parse_reference(reference))
    with progress_bars() as progress:
        export_image(library, manifest, file, force=force, progress=progress)
    click.echo(f"{describe(manifest.header)}: {_exactly(manifest.header.disk_size)} in {file}")


@image.command()
@image_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@library_option
@keys_option
@click.pass_obj
def remove(context: Context, reference: str, yes: bool) -> None:
    """Remove an image, all versions or one, and the chunks that no other image needs."""
    library = Library.open(context.library)
    name, version = parse_reference(reference)
    newest = library.need_version(name, version)
    doomed = library.versions(name) if version is None else [newest]
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"removing image {name} needs --yes when nobody can be asked")
        listed = ", ".join(map(str, doomed))
        click.confirm(f"Remove image {name}, version {listed}, from {library.root}?", abort=True)
    outcome = remove_image(library, name, version, on_wait=_say_waiting)
    versions = ", ".join(map(str, outcome.versions))
    store = KeyStore.open_or_create(context.keys)
    write_down(context.library, store, AuditEvent.IMAGE_REMOVED, image=name, versions=versions)
    click.echo(
        f"removed image {name}, version {versions}: {outcome.chunk_count} chunks, {_exactly(outcome.freed_bytes)}"
    )


for command in (capture, files, extract_files, shrink):
    image.add_command(command)


def _print_outcome(outcome: AddOutcome, seconds: float) -> None:
    manifest = outcome.manifest
    header = manifest.header
    verdict = "unchanged" if outcome.is_unchanged else "added"
    console = output_console()
    console.print(f"{verdict}: {escape(describe(header))}", highlight=False)
    facts = facts_table(
        (
            ("disk", _exactly(header.disk_size)),
            ("used", f"{_exactly(outcome.kept_bytes)} in {header.stored_chunk_count} chunks"),
            ("stored", f"{_exactly(header.stored_bytes)}, {_ratio(manifest)}"),
            ("new", f"{_exactly(outcome.new_bytes)} in {outcome.new_chunk_count} chunks"),
            ("read", f"{_exactly(outcome.read_bytes)} in {seconds:.1f} s"),
        )
    )
    console.print(facts)
    console.print(_partition_table(header.partitions, outcome.methods))


def _partition_table(partitions: Sequence[PartitionInfo], methods: Sequence[str] = ()) -> Table:
    """One line per partition; with ``methods``, also how the used blocks of each were found."""
    headings = ["partition", "start", "size", "used", "file system", "label", *(["used blocks by"] if methods else [])]
    table = Table(*headings, box=None, header_style="bold")
    for partition, method in zip_longest(partitions, methods):
        table.add_row(
            str(partition.number) if partition.number else "whole disk",
            decimal(partition.offset),
            decimal(partition.length),
            decimal(partition.used_bytes),
            escape(partition.filesystem or "unknown"),
            escape(partition.label),
            *([escape(method)] if method else []),
        )
    return table


def _ratio(manifest: Manifest) -> str:
    raw = sum(chunk.raw_length for chunk in manifest)
    return f"compressed to {manifest.header.stored_bytes / raw:.0%}" if raw else "nothing to compress"


def _exactly(count: int) -> str:
    return f"{decimal(count)} ({count} bytes)"


def _as_dict(header: ManifestHeader, signer: str | None) -> dict[str, Any]:
    """The header for other programs, without what only decoders need, and the words of who signed the image."""
    fields: dict[str, Any] = msgspec.to_builtins(header)
    del fields["zero_ranges"]
    return {**fields, "signed_by": signer}


def _signer(library: Library, manifest: Manifest) -> str | None:
    """The words of the key that signed an image; None for nobody, and for a signature that is not good."""
    signature = signature_or_none(library, manifest)
    return None if signature is None else " ".join(fingerprint_words(signature.key))


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _say_waiting() -> None:
    click.echo("waiting for another slatecast command that changes this library", err=True)
