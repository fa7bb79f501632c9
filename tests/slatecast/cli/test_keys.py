import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broadcaster.key_files import IMAGE_KEY, KEY_FILES
from broadcaster.keys import KeyStore
from protocol.errors import ConfigError
from protocol.signing import fingerprint
from protocol.trust import follows
from protocol.words import fingerprint_words
from slatecast.cli.context import Context
from slatecast.cli.keys import keys
from slatecast.cli.trust_file import read_trust


class Commands:
    """The keys commands on one folder; errors come out as they are, since the front door words them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> Result:
        context = Context(library=self.folder / "no library", keys=self.folder)
        return CliRunner().invoke(keys, arguments, obj=context, catch_exceptions=True)

    def output(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exception is None, result.exception
        return result.stdout

    def error(self, *arguments: str) -> str:
        error = self(*arguments).exception
        assert isinstance(error, ConfigError), error
        assert "\n" not in str(error)
        return str(error)

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.output("show", "--json"))
        return shown


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path / "keys")
    commands.output("init")
    return commands


def words(key: bytes) -> str:
    return " ".join(fingerprint_words(key))


def test_init_makes_keys_once(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "keys")
    first = commands("init")
    assert "back up" in first.stderr
    store = KeyStore.open(tmp_path / "keys")
    for key in (store.trust.director_key, *store.trust.image_keys):
        assert words(key) in first.stdout
    assert commands.output("init") == first.stdout == commands.output("show")


def test_show_makes_nothing(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "keys")
    assert "no keys in" in commands.error("show")
    assert not (tmp_path / "keys").exists()


def test_show_for_programs(commands: Commands) -> None:
    store = KeyStore.open(commands.folder)
    shown = commands.shown()
    assert shown["folder"] == str(commands.folder)
    assert shown["director"] == {
        "fingerprint": fingerprint(store.director.public).hex(),
        "words": words(store.director.public),
    }
    assert [(key["words"], key["is_here"]) for key in shown["image_keys"]] == [(words(store.trust.image_keys[0]), True)]
    assert (shown["serial"], shown["absent"]) == (1, [])
    assert len(bytes.fromhex(shown["authority"])) == 32
    console = KeyStore.open(commands.folder).console.public
    assert shown["console"] == {"fingerprint": fingerprint(console).hex(), "words": words(console)}


def test_show_says_what_is_kept_elsewhere(commands: Commands) -> None:
    (commands.folder / IMAGE_KEY).unlink()
    shown = commands.shown()
    assert shown["absent"] == [IMAGE_KEY]
    assert [key["is_here"] for key in shown["image_keys"]] == [False]
    text = commands.output("show")
    assert "image, kept elsewhere" in text
    assert text.rstrip().endswith(IMAGE_KEY)


def test_rotate_director(commands: Commands) -> None:
    before = KeyStore.open(commands.folder).trust
    assert "1 since the keys were made" in commands.output("rotate", "director")
    after = KeyStore.open(commands.folder).trust
    assert after.director_key != before.director_key
    assert follows(after, before)


@pytest.mark.parametrize("forgets", [False, True])
def test_rotate_image(commands: Commands, forgets: bool) -> None:
    (old,) = KeyStore.open(commands.folder).trust.image_keys
    text = commands.output("rotate", "image", *(["--forget-old"] if forgets else []))
    kept = KeyStore.open(commands.folder).trust.image_keys
    assert (old in kept) == (words(old) in text) == ("image, earlier" in text) == (not forgets)
    assert len(kept) == 2 - forgets


@pytest.mark.parametrize("form", ["words", "one argument", "hyphens", "capitals", "hex"])
def test_revoke(commands: Commands, form: str) -> None:
    (old,) = KeyStore.open(commands.folder).trust.image_keys
    commands.output("rotate", "image")
    named = {
        "words": list(fingerprint_words(old)),
        "one argument": [words(old)],
        "hyphens": ["-".join(fingerprint_words(old))],
        "capitals": [words(old).upper()],
        "hex": [fingerprint(old).hex()],
    }[form]
    assert "needs --yes" in commands.error("revoke", *named)
    assert commands.output("revoke", *named, "--yes") == f"revoked image key {words(old)}\n"
    assert old not in KeyStore.open(commands.folder).trust.image_keys


def test_what_is_not_revoked(commands: Commands) -> None:
    (key,) = KeyStore.open(commands.folder).trust.image_keys
    assert "in use" in commands.error("revoke", *fingerprint_words(key), "--yes")
    for name in (["zoo"] * 6, list(fingerprint_words(key))[:5], ["00" * 16], [""]):
        assert "none of the image keys" in commands.error("revoke", *name, "--yes")
    assert commands("revoke", "--yes").exit_code == 2


def test_export_trust(commands: Commands, tmp_path: Path) -> None:
    target = tmp_path / "trust.json"
    said = commands.output("export-trust", str(target))
    trust = KeyStore.open(commands.folder).trust
    assert words(trust.director_key) in said
    assert read_trust(target) == trust
    commands.output("rotate", "director")
    assert "--force" in commands.error("export-trust", str(target))
    commands.output("export-trust", str(target), "--force")
    assert follows(read_trust(target), trust)
    assert read_trust(target) != trust


def test_the_folder_may_be_named_behind_the_command(commands: Commands, tmp_path: Path) -> None:
    elsewhere = Commands(tmp_path / "elsewhere")
    assert elsewhere.output("show", "--keys", str(commands.folder)) == commands.output("show")


@pytest.mark.parametrize("arguments", [[], ["rotate"], ["rotate", "authority"], ["export-trust"], ["show", "--jason"]])
def test_usage_errors_exit_with_2(commands: Commands, arguments: list[str]) -> None:
    assert commands(*arguments).exit_code == 2


def test_no_command_prints_a_secret(commands: Commands, tmp_path: Path) -> None:
    secrets = secret_forms(commands.folder)
    (old,) = KeyStore.open(commands.folder).trust.image_keys
    said = ""
    for arguments in (
        ["init"],
        ["show"],
        ["show", "--json"],
        ["export-trust", str(tmp_path / "trust.json")],
        ["rotate", "image"],
        ["revoke", *fingerprint_words(old), "--yes"],
        ["rotate", "director"],
        ["show", "--json"],
    ):
        result = commands(*arguments)
        said += result.output
        secrets |= secret_forms(commands.folder)
    for name in KEY_FILES:  # and every error about a damaged file
        path = commands.folder / name
        good = path.read_bytes()
        for bad in (good[:-40], good[:60] + good[61:], good.replace(b"M", b"N"), b""):
            path.write_bytes(bad)
            result = commands("show")
            said += result.output + str(result.exception)
        path.chmod(0o644)
        result = commands("show")
        said += result.output + str(result.exception)
        path.write_bytes(good)
        path.chmod(0o600)
    said += (tmp_path / "trust.json").read_text()
    assert not [secret for secret in secrets if secret in said]


def secret_forms(folder: Path) -> set[str]:
    store = KeyStore.open(folder)
    assert store.image is not None
    forms = set(store.authority.private_key.decode().splitlines()[1:-1])
    for key in (store.director.private_key, store.image.private_key):
        raw = key.private_bytes_raw()
        forms |= {raw.hex(), repr(raw)[2:-1]}
        forms |= set(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().splitlines()[1:-1])
    return forms
