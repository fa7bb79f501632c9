"""``slatecast keys``: make, show, replace and revoke a broadcaster's keys, and give away their public side."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from broadcaster.audit import AuditEvent
from broadcaster.key_files import KEY_FILES
from broadcaster.keys import KeyStore
from protocol.errors import ConfigError
from protocol.signing import fingerprint
from protocol.trust import Trust
from protocol.words import fingerprint_words
from slatecast.cli.auditing import write_down
from slatecast.cli.context import Context, keys_option, library_option
from slatecast.cli.mosquitto import mosquitto
from slatecast.cli.tables import facts_table, output_console
from slatecast.cli.trust_file import write_trust


@click.group()
def keys() -> None:
    """Keep the keys of this broadcaster.

    They are made at first need, so nothing here is needed to begin. Back up the folder that 'keys show' names.
    """


@keys.command()
@keys_option
@click.pass_obj
def init(context: Context) -> None:
    """Make the keys, unless there are some already."""
    store = KeyStore.open_or_create(context.keys)
    _show(store)
    click.echo(f"back up {store.folder}: without it every receiver must be enrolled again", err=True)


@keys.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@keys_option
@click.pass_obj
def show(context: Context, as_json: bool) -> None:
    """Show the fingerprints of the keys, where they lie, and which are kept elsewhere."""
    store = KeyStore.open(context.keys)
    if as_json:
        click.echo(json.dumps(_as_dict(store), indent=2))
    else:
        _show(store)


@keys.group()
def rotate() -> None:
    """Replace a key by a new one."""


@rotate.command()
@library_option
@keys_option
@click.pass_obj
def director(context: Context) -> None:
    """Replace the key that orders disks to be overwritten.

    Receivers that know the old one accept the new one. Casts that are running keep the old one; end them first.
    """
    store = KeyStore.open(context.keys)
    store.rotate_director()
    write_down(context.library, store, AuditEvent.KEYS_ROTATED, key="director")
    _show(store)


@rotate.command("image")
@click.option("--forget-old", is_flag=True, help="Trust no earlier image key; every image must be signed again.")
@library_option
@keys_option
@click.pass_obj
def rotate_image(context: Context, forget_old: bool) -> None:
    """Make a new key that signs images; what earlier ones signed can still be cast."""
    store = KeyStore.open(context.keys)
    if store.image is None:
        click.echo(f"the new image key lies in {store.folder}; move it to where the old one is kept", err=True)
    store.rotate_image(keep_old=not forget_old)
    write_down(context.library, store, AuditEvent.KEYS_ROTATED, key="image")
    _show(store)


@keys.command()
@click.argument("name", metavar="FINGERPRINT", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@library_option
@keys_option
@click.pass_obj
def revoke(context: Context, name: tuple[str, ...], yes: bool) -> None:
    """Trust an image key no longer: FINGERPRINT is its six words or its hex digits, as 'keys show' prints them."""
    store = KeyStore.open(context.keys)
    key = _find_image_key(store.trust, name)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("revoking an image key needs --yes when nobody can be asked")
        click.confirm(f"Revoke {_words(key)}? What only this key signed can then not be cast", abort=True)
    store.revoke_image(fingerprint(key))
    write_down(context.library, store, AuditEvent.KEYS_ROTATED, key="image", revoked=_words(key))
    click.echo(f"revoked image key {_words(key)}")


@keys.command("export-trust")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@keys_option
@click.pass_obj
def export_trust(context: Context, file: Path, force: bool) -> None:
    """Write the public side of the keys to FILE, for boot media and 'slatecast receive --trust'."""
    trust = KeyStore.open(context.keys).trust
    write_trust(file, trust, force=force)
    click.echo(f"trust in director {_words(trust.director_key)} written to {file}; it holds nothing secret")


def _show(store: KeyStore) -> None:
    trust = store.trust
    lines = [("folder", str(store.folder)), ("director", _words(trust.director_key))]
    lines += [(_image_title(store, key), _words(key)) for key in trust.image_keys]
    lines += [("authority", _certificate_digest(trust)), ("console", _words(store.console.public))]
    lines.append(("changes", f"{trust.serial - 1} since the keys were made"))
    absent = _absent(store)
    lines.append(("kept elsewhere", ", ".join(absent) if absent else "nothing"))
    output_console().print(facts_table(lines))


def _image_title(store: KeyStore, key: bytes) -> str:
    if store.image is None:
        return "image, kept elsewhere"
    return "image" if key == store.image.public else "image, earlier"


def _as_dict(store: KeyStore) -> dict[str, Any]:
    def describe(key: bytes) -> dict[str, str]:
        return {"fingerprint": fingerprint(key).hex(), "words": _words(key)}

    signer = store.image.public if store.image is not None else None
    return {
        "folder": str(store.folder),
        "director": describe(store.trust.director_key),
        "image_keys": [{**describe(key), "is_here": key == signer} for key in store.trust.image_keys],
        "authority": _certificate_digest(store.trust),
        "console": describe(store.console.public),
        "serial": store.trust.serial,
        "absent": _absent(store),
    }


def _absent(store: KeyStore) -> list[str]:
    return [name for name in KEY_FILES if not (store.folder / name).exists()]


def _find_image_key(trust: Trust, spelled: tuple[str, ...]) -> bytes:
    wanted = " ".join(" ".join(spelled).replace("-", " ").lower().split())
    for key in trust.image_keys:
        if wanted in {_words(key), fingerprint(key).hex()}:
            return key
    raise ConfigError("none of the image keys has that name: 'slatecast keys show' lists them")


def _words(key: bytes) -> str:
    return " ".join(fingerprint_words(key))


def _certificate_digest(trust: Trust) -> str:
    """SHA-256 of the authority's certificate, as other tools print it."""
    return x509.load_pem_x509_certificate(trust.authority).fingerprint(SHA256()).hex()


keys.add_command(mosquitto)
