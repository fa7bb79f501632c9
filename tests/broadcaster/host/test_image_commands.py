from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries
from broadcaster.host import commands, image_commands
from broadcaster.host.image_commands import ImageCommands
from broadcaster.host.sessions import Sessions
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.commands import AnyCommand, CompareVersions, ImportImage, RemoveImage, ShrinkImage, VerifyImage
from protocol.errors import ConfigError, LibraryError, RefusedError, SourceError
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.host.handling import carry_out
from tests.broadcaster.library.disks import noise


class Shelf:
    """A library, its keys, and the handlers of its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = Library.open_or_create(folder / "library")
        self.keys = KeyStore.open_or_create(folder / "keys")
        self.users: tuple[str, ...] = ()
        self.changes = 0
        sessions = cast(Sessions, SimpleNamespace(using=lambda name, version: self.users))
        self._commands = ImageCommands(self.library, self.keys, sessions, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def source(self, *seeds: int) -> str:
        path = self.folder / "source.img"
        path.write_bytes(b"".join(noise(seed, CHUNK_SIZE) for seed in seeds))
        return str(path)

    def do(self, command: AnyCommand, told: list[str] | None = None) -> Any:
        return carry_out(self._commands.handlers, command, told=told)

    def entries(self) -> list[tuple[str, Any]]:
        return [(entry.event, entry.fields["operator"]) for entry in read_entries(self.library.root / AUDIT_FILE)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_an_image_comes_signed_with_progress_and_under_the_operators_name(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROGRESS_INTERVAL", 0.0)
    told: list[str] = []
    assert shelf.do(ImportImage(path=shelf.source(1), name="lab"), told) == {"name": "lab", "version": 1}
    assert shelf.do(ImportImage(path=shelf.source(2), name="lab")) == {"name": "lab", "version": 2}
    signature = shelf.library.signature(shelf.library.load("lab", 2))
    assert signature is not None
    assert signature.key in shelf.keys.trust.image_keys
    assert told
    assert shelf.changes == 2
    assert shelf.entries() == [(AuditEvent.IMAGE_ADDED, "anna")] * 2


def test_a_smaller_version_is_made_and_written_down(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.do(ImportImage(path=shelf.source(1), name="lab"))
    asked: list[tuple[object, ...]] = []

    def played(library: Library, name: str, version: int, disk_size: int | None, **options: Any) -> SimpleNamespace:
        asked.append((name, version, disk_size, options["signer"]))
        options["progress"]("shrinking ext4", 1, 2)
        return SimpleNamespace(added=SimpleNamespace(manifest=library.load("lab", 1)))

    monkeypatch.setattr(image_commands, "shrink_image", played)
    size = shelf.library.load("lab", 1).header.disk_size
    assert shelf.do(ShrinkImage(name="lab", version=1, disk_size=7)) == {"name": "lab", "version": 1, "disk_size": size}
    shelf.do(ShrinkImage(name="lab", version=1, disk_size=0))
    assert asked == [("lab", 1, 7, shelf.keys.image), ("lab", 1, None, shelf.keys.image)]
    assert shelf.changes == 3
    assert shelf.entries() == [(AuditEvent.IMAGE_ADDED, "anna")] * 3


def test_what_cannot_be_made_smaller_is_refused(shelf: Shelf) -> None:
    shelf.do(ImportImage(path=shelf.source(1), name="lab"))
    with pytest.raises(RefusedError, match="cannot be made smaller: it has no partition table"):
        shelf.do(ShrinkImage(name="lab", version=1, disk_size=1))


@pytest.mark.parametrize(
    ("path", "name", "error", "text"),
    [
        ("source.img", "lab", SourceError, "give the whole path"),
        ("/nowhere/\nsource.img", "lab", SourceError, "give the whole path"),
        ("/nowhere/source.img", "lab", SourceError, "no such file"),
        ("{folder}/keys/director.key", "lab", SourceError, "is where keys are kept"),
        ("{folder}/library/../keys/trust.json", "lab", SourceError, "is where keys are kept"),
        ("{folder}", "lab", SourceError, "is "),
        ("{folder}/source.img", "no such/name", ConfigError, "cannot be an image's name"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_changes_nothing(
    shelf: Shelf, path: str, name: str, error: type[Exception], text: str
) -> None:
    shelf.source(1)
    with pytest.raises(error, match=text):
        shelf.do(ImportImage(path=path.format(folder=shelf.folder), name=name))
    assert shelf.library.names() == []
    assert shelf.changes == 0


def test_every_chunk_is_checked(shelf: Shelf) -> None:
    shelf.do(ImportImage(path=shelf.source(1, 2), name="lab"))
    assert shelf.do(VerifyImage(name="lab", version=1)) == {"damaged": 0, "details": []}
    digest = shelf.library.load("lab")[1].raw_digest.hex()
    (shelf.library.root / "chunks" / digest[:2] / digest[2:]).unlink()
    found = shelf.do(VerifyImage(name="lab", version=1))
    assert found["damaged"] == 1
    assert "image lab, version 1: chunk 1 at byte 262144 is missing" in found["details"][0]
    with pytest.raises(LibraryError, match="has no version 7"):
        shelf.do(VerifyImage(name="lab", version=7))


def test_one_version_is_removed_unless_a_session_uses_it(shelf: Shelf) -> None:
    for seed in (1, 2):
        shelf.do(ImportImage(path=shelf.source(seed), name="lab"))
    shelf.users = ("0" * 16,)
    with pytest.raises(RefusedError, match="image lab, version 1, is in use by session 0000000000000000"):
        shelf.do(RemoveImage(name="lab", version=1))
    shelf.users = ()
    with (
        shelf.library.in_use(shelf.library.load("lab", 1)),
        pytest.raises(LibraryError, match="is being cast, exported or verified"),
    ):
        shelf.do(RemoveImage(name="lab", version=1))
    assert shelf.library.versions("lab") == [1, 2]
    assert shelf.do(RemoveImage(name="lab", version=1))["freed_bytes"] > 0
    assert shelf.library.versions("lab") == [2]
    assert shelf.entries()[-1] == (AuditEvent.IMAGE_REMOVED, "anna")


def test_versions_are_compared(shelf: Shelf) -> None:
    for seeds in ((1, 2, 3), (1, 9, 3)):
        shelf.do(ImportImage(path=shelf.source(*seeds), name="lab"))
    found = shelf.do(CompareVersions(name="lab", old_version=1, new_version=2))
    assert (found["changed_bytes"], found["ranges"]) == (CHUNK_SIZE, [[CHUNK_SIZE, CHUNK_SIZE]])
    with pytest.raises(LibraryError, match="no image 'other'"):
        shelf.do(CompareVersions(name="other", old_version=1, new_version=2))
