"""Trust files and key files that are poisoned, cut short, swapped or readable by others, through the command line.

Each ends in one line that says what to do, in a documented exit code, and nothing is written anywhere.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broadcaster.key_files import KEY_FILES
from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.errors import ConfigError
from slatecast.__main__ import main
from slatecast.cli import cast as cast_module
from tests.broadcaster.library.disks import MIB, noise, tree
from tests.certificates import certificate

USAGE, UNREACHABLE = 2, 6
PRIVATE = ("director.key", "image.key", "authority.key")
LONGEST_LINE = 600

pytestmark = [pytest.mark.slow]

Say = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, a library with an image, a disk and trust files, made once."""
    place = tmp_path_factory.mktemp("made")
    (place / "source.img").write_bytes(noise(1, MIB))
    (place / "seat.disk").write_bytes(bytes(MIB))
    keys = KeyStore.open_or_create(place / "keys")
    KeyStore.open_or_create(place / "other-keys")
    add_image(Library.open_or_create(place / "library"), place / "source.img", "lab", signer=keys.image)
    shutil.copy(place / "keys" / "trust.json", place / "trust.json")
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, in which the commands run."""
    here = tmp_path / "here"
    shutil.copytree(made, here, symlinks=True)
    (here / "keys").chmod(0o700)
    for name in [name for name in os.environ if name.startswith("SLATECAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state"))
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def complaint(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command and gives its one line, after looking whether anything was written."""

    def stop(*_arguments: object) -> None:
        raise ConfigError("the cast has begun")

    def run(*argv: str, codes: tuple[int, ...] = (USAGE,)) -> str:
        before = tree_of(place)
        monkeypatch.setattr(cast_module, "run_cast", stop)
        monkeypatch.setattr("sys.argv", ["slatecast", "--library", "library", "--keys", "keys", *argv])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "the cast has begun" not in said.err
        lines = said.err.splitlines()
        assert ended.value.code in codes, said.err
        assert tree_of(place) == before
        if ended.value.code == 0:
            return ""
        assert len(lines) == 1, said.err
        assert lines[0].startswith("slatecast: ")
        assert len(lines[0]) < LONGEST_LINE
        assert not any(secret in said.err + said.out for secret in secrets_of(place))
        return lines[0].removeprefix("slatecast: ")

    return run


def tree_of(place: Path) -> dict[str, tuple[int, bytes]]:
    """Contents and modes; a lock in the folder of the keys is no change."""
    contents = {name: content for name, content in tree(place).items() if not name.endswith("/lock")}
    return {name: ((place / name).lstat().st_mode, content) for name, content in contents.items()}


def secrets_of(place: Path) -> list[str]:
    """The lines of every private key, as they were before they were mangled."""
    found = []
    for folder in ("keys", "other-keys"):
        for name in PRIVATE:
            path = place / folder / name
            text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
            found += [line for line in text.splitlines() if len(line) > 20 and not line.startswith("-")]
    return found


# --- trust files -----------------------------------------------------------------------------------------------------

TRUST_READERS = {
    "receive": ("receive", "--target", "seat.disk", "--server", "127.0.0.1:1", "--wait", "0", "--interface", "lo"),
    "report verify": ("report", "verify", "report.json"),
    "audit verify": ("audit", "verify", "audit.jsonl"),
}


def poisoned_trusts(trust: bytes) -> dict[str, bytes]:
    second = certificate().decode().replace("\n", "\\n").encode()
    return {
        "empty": b"",
        "text": b"Dear reader,\n",
        "nothing": b"null",
        "list": b"[" * 100_000,
        "nested": b'{"director_key":' * 3_000,
        "endless": trust + b" " * (1 << 20),
        "binary": bytes(range(256)) * 20,
        "nul": trust.replace(b"{", b"{\0", 1),
        "another field": trust.replace(b"{", b'{"sudo":true,', 1),
        "field twice": trust.replace(b'"director_key":', b'"director_key":"","director_key":', 1),
        "no image keys": trust.replace(b'"image_keys":["', b'"image_keys":[],"x":["', 1),
        "short key": trust.replace(b'"director_key":"', b'"director_key":"AAAA', 1),
        "serial": trust.replace(b'"serial":1', b'"serial":-1', 1),
        "number": trust.replace(b'"serial":1', b'"serial":1e999', 1),
        "two certificates": trust.replace(b'"authority":"', b'"authority":"' + second, 1),
        "escapes": b'"\\u001b[2J\\u202e"',
        "byte order mark": b"\xef\xbb\xbf" + trust,
        "utf-16": trust.decode().encode("utf-16"),
    }


NAMES = list(poisoned_trusts(b"{}"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", TRUST_READERS)
def test_a_poisoned_trust_file_is_told_in_one_line(place: Path, complaint: Say, reader: str, name: str) -> None:
    trust = (place / "trust.json").read_bytes()
    poisoned = poisoned_trusts(trust)[name]
    assert poisoned != trust
    (place / "attack.json").write_bytes(poisoned)
    said = complaint(*TRUST_READERS[reader], "--trust", "attack.json")
    assert said.startswith("attack.json is no trust file (")
    assert "slatecast keys export-trust" in said


@pytest.mark.parametrize("reader", TRUST_READERS)
def test_a_trust_file_that_is_cut_short_is_told(place: Path, complaint: Say, reader: str) -> None:
    trust = (place / "trust.json").read_bytes()
    for length in range(0, len(trust), 101):
        (place / "attack.json").write_bytes(trust[:length])
        assert "is no trust file (" in complaint(*TRUST_READERS[reader], "--trust", "attack.json")


def test_a_mutated_trust_file_never_has_anything_written(place: Path, complaint: Say) -> None:
    """What is still a trust is somebody else's, so nobody at all is obeyed."""
    trust, chance = (place / "trust.json").read_bytes(), random.Random(4)
    for _ in range(40):
        mutated = bytearray(trust)
        for _ in range(chance.randint(1, 3)):
            mutated[chance.randrange(len(mutated))] ^= 1 << chance.randrange(8)
        (place / "attack.json").write_bytes(mutated)
        complaint(*TRUST_READERS["receive"], "--trust", "attack.json", codes=(USAGE, UNREACHABLE))


@pytest.mark.parametrize("what", ["a private key", "a folder", "nothing", "a device"])
def test_what_is_no_trust_file_at_all(place: Path, complaint: Say, what: str) -> None:
    named = {"a private key": "keys/director.key", "a folder": "library", "nothing": "missing", "a device": "/dev/zero"}
    said = complaint(*TRUST_READERS["receive"], "--trust", named[what])
    assert named[what] in said


# --- key files -------------------------------------------------------------------------------------------------------

KEY_USERS = {
    "keys show": ("keys", "show"),
    "keys export-trust": ("keys", "export-trust", "out.json"),
    "keys rotate director": ("keys", "rotate", "director"),
    "keys rotate image": ("keys", "rotate", "image"),
    "image add": ("image", "add", "source.img", "--name", "new"),
    "cast": ("cast", "lab", "--interface", "lo"),
}
REST = ("restore", "give", "move", "chmod", "is no key", "keys at")
"""What a line has to say, besides what is wrong."""


def ruin(path: Path, how: str, other: Path) -> None:
    content = path.read_bytes()
    match how:
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            path.write_bytes(content[: len(content) // 2])
        case "garbage":
            path.write_bytes(bytes(range(256)))
        case "endless":
            path.write_bytes(content + b"\n" * (1 << 20))
        case "of another broadcaster":
            path.write_bytes(other.read_bytes())
        case "flipped":
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 2]) + content[middle + 1 :])
        case "folder":
            path.unlink()
            path.mkdir()
        case "link to a device":
            path.unlink()
            path.symlink_to("/dev/zero")
        case "missing":
            path.unlink()
        case _:
            raise AssertionError(how)


RUINS = ("empty", "cut short", "garbage", "endless", "of another broadcaster", "flipped", "folder", "link to a device")


@pytest.mark.parametrize("user", KEY_USERS)
@pytest.mark.parametrize("name", KEY_FILES)
def test_a_ruined_key_file_is_told_in_one_line(place: Path, complaint: Say, name: str, user: str) -> None:
    path = place / "keys" / name
    good, mode = path.read_bytes(), path.stat().st_mode
    for how in (*RUINS, *(() if name == "image.key" else ("missing",))):
        ruin(path, how, place / "other-keys" / name)
        said = complaint(*KEY_USERS[user])
        assert any(word in said for word in REST), f"{how}: {said}"
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(good)
        path.chmod(mode)


@pytest.mark.parametrize("kind", ["encrypted", "rsa", "ec", "x25519", "public", "certificate"])
@pytest.mark.parametrize("name", PRIVATE)
def test_a_key_of_another_kind_is_told(place: Path, complaint: Say, name: str, kind: str) -> None:
    path = place / "keys" / name
    key = load_pem_private_key(path.read_bytes(), None)
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(
        {
            "encrypted": lambda: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "rsa": lambda: rsa.generate_private_key(65537, 2048).private_bytes(*plain),
            "ec": lambda: ec.generate_private_key(ec.SECP384R1()).private_bytes(*plain),
            "x25519": lambda: x25519.X25519PrivateKey.generate().private_bytes(*plain),
            "public": lambda: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "certificate": certificate,
        }[kind]()
    )
    assert "restore" in complaint(*KEY_USERS["cast"])


@pytest.mark.parametrize("user", KEY_USERS)
@pytest.mark.parametrize("name", PRIVATE)
def test_fog_cve_2024_41954_a_key_that_others_can_read_is_not_used(
    place: Path, complaint: Say, name: str, user: str
) -> None:
    """There the password of the database was readable by everybody."""
    for mode in (0o644, 0o640, 0o604, 0o620, 0o602, 0o777, 0o601):
        (place / "keys" / name).chmod(mode)
        said = complaint(*KEY_USERS[user])
        assert f"{name} can be read by other users: chmod 600 it" in said
        assert "replace the key if somebody may have read it" in said


def test_fog_cve_2024_41954_a_folder_that_others_can_write_is_not_used(place: Path, complaint: Say) -> None:
    for mode in (0o770, 0o707, 0o777, 0o722):
        (place / "keys").chmod(mode)
        assert "can be written by other users: chmod 700" in complaint(*KEY_USERS["cast"])


def test_fog_cve_2024_41954_every_key_is_made_for_its_owner_alone(made: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (made / "keys").iterdir()}
    assert {modes[name] for name in PRIVATE} == {0o600}
    assert (made / "keys").stat().st_mode & 0o077 == 0


def test_a_wrong_file_for_the_image_key_is_told(place: Path, complaint: Say) -> None:
    (place / "attack.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (place / "attack.key").chmod(0o600)
    for named in ("attack.key", "trust.json", "/dev/zero", "missing", "keys/authority.key"):
        said = complaint("image", "sign", "lab", "--image-key", named, codes=(USAGE,))
        assert named in said
