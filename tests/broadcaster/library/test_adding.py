import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.library import library as library_module
from broadcaster.library.adding import add_image, find_or_add, name_for
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library
from broadcaster.library.verifying import read_chunk, verify_image
from protocol.errors import ConfigError, LibraryError, SourceError
from protocol.manifest import CHUNK_SIZE
from protocol.signing import SigningKey
from tests.broadcaster.library.disks import (
    MIB,
    OLD_BYTES,
    OLD_BYTES_AT,
    chunks_of,
    gpt_disk,
    needs,
    needs_root,
    noise,
    put_ext4,
    run,
    sample_folder,
    sparse_file,
    tree,
)

SIGNER, OTHER = SigningKey(bytes(32)), SigningKey(bytes(range(32)))

needs_partclone = needs("partclone.extfs", "partclone")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """8 MiB: two chunks of noise, one of text, one written zeros, holes, and a short last chunk."""
    contents = {
        MIB: noise(1, 2 * CHUNK_SIZE),
        3 * MIB: b"slatecast\n" * (CHUNK_SIZE // 10),
        5 * MIB: bytes(CHUNK_SIZE),
        8 * MIB: noise(2, 512),
    }
    return sparse_file(tmp_path / "disk.img", 8 * MIB + 512, contents)


def test_stores_what_is_not_zero(library: Library, disk: Path) -> None:
    outcome = add_image(library, disk, "lab")
    manifest = outcome.manifest
    assert [chunk.chunk_id for chunk in manifest] == [4, 5, 12, 32]
    assert manifest.header.zero_ranges == ((0, 4), (6, 6), (13, 19))
    assert (manifest.header.name, manifest.header.version, manifest.header.disk_size) == ("lab", 1, 8 * MIB + 512)
    assert (outcome.is_unchanged, outcome.new_chunk_count, outcome.kept_bytes) == (False, 4, 3 * CHUNK_SIZE + 512)
    assert outcome.read_bytes <= 5 * CHUNK_SIZE + 512
    chunks = chunks_of(disk)
    assert [read_chunk(library, manifest, sbn) for sbn in range(4)] == [chunks[at] for at in (4, 5, 12, 32)]
    raw, text = manifest[0], manifest[2]
    assert raw.stored_length == raw.raw_length
    assert text.stored_length < text.raw_length // 100
    assert not any(library.store.incoming.iterdir())


def test_the_same_disk_again_stores_nothing(library: Library, disk: Path) -> None:
    first = add_image(library, disk, "lab")
    before = tree(library.root)
    second = add_image(library, disk, "lab", level=19)
    assert (second.is_unchanged, second.new_chunk_count, second.new_bytes) == (True, 0, 0)
    assert second.manifest.digest == first.manifest.digest
    assert tree(library.root) == before


def test_the_next_version_stores_only_what_is_new(library: Library, disk: Path) -> None:
    first = add_image(library, disk, "lab").manifest
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(b"changed")
    outcome = add_image(library, disk, "lab")
    assert (outcome.manifest.header.version, outcome.new_chunk_count) == (2, 1)
    assert outcome.manifest[1] == first[1]
    assert verify_image(library, first) == verify_image(library, outcome.manifest) == []


def test_another_name_shares_all_chunks(library: Library, disk: Path) -> None:
    add_image(library, disk, "lab")
    outcome = add_image(library, disk, "exam")
    assert (outcome.is_unchanged, outcome.new_chunk_count, outcome.manifest.header.version) == (False, 0, 1)


def test_equal_chunks_are_stored_once_and_bound_to_their_places(library: Library, tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 16 * MIB, {0: noise(1, CHUNK_SIZE) * 64})
    outcome = add_image(library, disk, "lab")
    assert (len(outcome.manifest), outcome.new_chunk_count) == (64, 1)
    assert len({chunk.stored_digest for chunk in outcome.manifest}) == 64
    assert verify_image(library, outcome.manifest) == []


@pytest.mark.parametrize("damage", ["missing", "flip"])
def test_adding_again_repairs_a_damaged_chunk(library: Library, disk: Path, damage: str) -> None:
    manifest = add_image(library, disk, "lab").manifest
    address = manifest[0].raw_digest.hex()
    path = library.store.chunks / address[:2] / address[2:]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(bytes(CHUNK_SIZE))
    assert len(verify_image(library, manifest)) == 1
    outcome = add_image(library, disk, "lab")
    assert (outcome.is_unchanged, outcome.new_chunk_count) == (True, 1)
    assert verify_image(library, manifest) == []


EXTENTS = st.lists(
    st.tuples(
        st.integers(0, 2 * MIB - 1),
        st.integers(1, 400_000),
        st.sampled_from(["noise", "text", "zeros"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@settings(max_examples=25)
@given(EXTENTS, st.integers(1, 4096))
def test_any_sparse_disk_comes_back(extents: list[tuple[int, int, str, int]], sectors: int) -> None:
    size = sectors * 512
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        contents = {0: b"slatecast"}
        for offset, length, kind, seed in extents:
            data = {"noise": noise(seed, length), "text": b"text" * length, "zeros": bytes(length)}[kind][:length]
            contents[offset % size] = data[: size - offset % size]
        contents[0] = b"s" + contents[0][1:]  # a disk of nothing but zeros is no image
        disk = sparse_file(root / "disk.img", size, contents)
        library = Library.open_or_create(root / "library")
        manifest = add_image(library, disk, "lab").manifest
        export_image(library, manifest, root / "export.img")
        assert (root / "export.img").read_bytes() == disk.read_bytes()
        stored = {chunk.chunk_id for chunk in manifest}
        zero = {chunk_id for first, count in manifest.header.zero_ranges for chunk_id in range(first, first + count)}
        assert stored | zero == set(range(manifest.chunk_count))


@pytest.mark.system
@needs_root
@needs_partclone
@pytest.mark.parametrize("virtual_format", [None, pytest.param("qcow2", marks=needs("qemu-img", "qemu-utils"))])
def test_free_space_of_a_gpt_disk_is_left_out(library: Library, tmp_path: Path, virtual_format: str | None) -> None:
    disk = image = gpt_disk(tmp_path)
    if virtual_format:
        image = tmp_path / "disk.virtual"
        run("qemu-img", "convert", "-f", "raw", "-O", virtual_format, str(disk), str(image))
    outcome = add_image(library, image, "lab")
    assert outcome.methods == ("partclone.vfat", "partclone.extfs")
    assert outcome.kept_bytes < 8 * MIB
    export_image(library, outcome.manifest, tmp_path / "export.img")
    exported = bytearray((tmp_path / "export.img").read_bytes())
    original = disk.read_bytes()
    old = slice(OLD_BYTES_AT, OLD_BYTES_AT + len(OLD_BYTES))
    assert original[old] == OLD_BYTES
    assert not any(exported[old])
    exported[old] = OLD_BYTES
    assert exported == original
    assert add_image(library, image, "lab").is_unchanged


@pytest.mark.system
@needs_root
@needs_partclone
def test_deleted_bytes_beside_a_file_do_not_travel(library: Library, tmp_path: Path) -> None:
    """Free blocks inside a chunk that is in use are blanked."""
    disk = sparse_file(tmp_path / "disk.img", 8 * MIB, {0: noise(3, 8 * MIB)})
    put_ext4(disk, 0, 8 * MIB, sample_folder(tmp_path / "files"))
    outcome = add_image(library, disk, "lab")
    assert outcome.methods == ("partclone.extfs",)
    export_image(library, outcome.manifest, tmp_path / "export.img")
    exported, original = (tmp_path / "export.img").read_bytes(), disk.read_bytes()
    blocks = range(0, 8 * MIB, 1024)
    blanked = [at for at in blocks if exported[at : at + 1024] != original[at : at + 1024]]
    assert not any(any(exported[at : at + 1024]) for at in blanked)
    assert {at // CHUNK_SIZE for at in blanked} & {chunk.chunk_id for chunk in outcome.manifest}
    run("e2fsck", "-fn", str(tmp_path / "export.img"))


@pytest.mark.parametrize("at", range(12))
def test_an_interruption_at_any_moment_leaves_the_library_as_it_was(library: Library, tmp_path: Path, at: int) -> None:
    old = sparse_file(tmp_path / "old.img", MIB, {0: noise(1, MIB)})
    add_image(library, old, "lab")
    before = tree(library.root)
    new = sparse_file(tmp_path / "new.img", 2 * MIB, {0: noise(1, CHUNK_SIZE) + noise(5, 2 * MIB - CHUNK_SIZE)})
    calls = 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > at:
            raise KeyboardInterrupt

    if at < 9:
        with pytest.raises(KeyboardInterrupt):
            add_image(library, new, "lab", progress=interrupt)
        assert tree(library.root) == before
    else:
        add_image(library, new, "lab", progress=interrupt)
    assert verify_image(library, library.load("lab")) == []


@pytest.mark.parametrize("step", ["commit", "publish", "rename", "sync_folder"])
def test_a_failure_while_committing_leaves_the_library_whole(
    library: Library, disk: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = tree(library.root)

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    targets = {
        "commit": "broadcaster.library.store.sync_filesystem",
        "publish": "broadcaster.library.library.write_durably",
        "rename": "broadcaster.library.library.Path.rename",
        "sync_folder": "broadcaster.library.library.sync_folder",
    }
    monkeypatch.setattr(targets[step], fail)
    with pytest.raises(LibraryError, match="is full"):
        add_image(library, disk, "lab")
    if step == "sync_folder":  # the manifest has its name already, so its chunks must have stayed
        assert verify_image(library, library.load("lab")) == []
    else:
        assert tree(library.root) == before
    assert not any(library.store.incoming.iterdir())


ADD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
steps = int(sys.argv[3])
def progress(*_):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)
add_image(Library.open(Path(sys.argv[1])), Path(sys.argv[2]), "lab", progress=progress)
"""


@pytest.mark.system
def test_a_killed_add_is_swept_up_by_the_next(library: Library, disk: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", ADD_AND_DIE, str(library.root), str(disk), "3"], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert library.names() == []
    outcome = add_image(library, disk, "lab")
    assert outcome.new_chunk_count == 4
    assert not any(library.store.incoming.iterdir())


LIMITED_ADD = """
import resource, sys
from pathlib import Path
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.errors import LibraryError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    add_image(Library.open(Path(sys.argv[1])), Path(sys.argv[2]), "lab")
except LibraryError as error:
    print(error)
"""


@pytest.mark.system
def test_a_file_size_limit_is_a_full_library(library: Library, disk: Path) -> None:
    before = tree(library.root)
    command = [sys.executable, "-c", LIMITED_ADD, str(library.root), str(disk)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "is full; nothing was changed" in ran.stdout
    assert tree(library.root) == before


@pytest.mark.system
@needs_root
def test_a_full_disk_leaves_the_library_as_it_was(tmp_path: Path) -> None:
    mount_point = tmp_path / "small"
    mount_point.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount_point))
    try:
        library = Library.open_or_create(mount_point)
        kept = add_image(library, sparse_file(tmp_path / "a.img", MIB, {0: noise(1, MIB)}), "kept").manifest
        before = tree(library.root)
        with pytest.raises(LibraryError, match="is full; nothing was changed"):
            add_image(library, sparse_file(tmp_path / "b.img", 8 * MIB, {0: noise(2, 8 * MIB)}), "big")
        assert tree(library.root) == before
        assert verify_image(library, kept) == []
    finally:
        run("umount", str(mount_point))


def test_an_image_is_signed_as_it_is_added(library: Library, disk: Path) -> None:
    outcome = add_image(library, disk, "lab", signer=SIGNER)
    assert outcome.signature is not None
    assert outcome.signature.key == SIGNER.public
    assert library.signature(outcome.manifest) == outcome.signature
    assert find_or_add(library, "lab").digest == outcome.manifest.digest


def test_without_a_key_an_image_is_not_signed(library: Library, disk: Path) -> None:
    outcome = add_image(library, disk, "lab")
    assert outcome.signature is None
    assert library.signature(outcome.manifest) is None


@pytest.mark.parametrize("before", ["nobody", "another", "damaged", "the same"])
def test_adding_again_signs_what_is_there(library: Library, disk: Path, before: str) -> None:
    first = add_image(library, disk, "lab", signer={"nobody": None, "another": OTHER}.get(before, SIGNER))
    if before == "damaged":
        library.signature_path("lab", 1).write_bytes(b"torn")
    outcome = add_image(library, disk, "lab", signer=SIGNER)
    assert outcome.is_unchanged
    assert outcome.manifest.digest == first.manifest.digest
    assert outcome.signature == library.signature(outcome.manifest)
    assert outcome.signature is not None
    assert outcome.signature.key == SIGNER.public


def test_adding_again_without_a_key_leaves_the_signature(library: Library, disk: Path) -> None:
    signature = add_image(library, disk, "lab", signer=SIGNER).signature
    outcome = add_image(library, disk, "lab")
    assert (outcome.is_unchanged, outcome.signature) == (True, signature)
    assert library.signature(outcome.manifest) == signature


def test_a_file_that_is_cast_is_signed(library: Library, disk: Path) -> None:
    signature = library.signature(find_or_add(library, str(disk), signer=SIGNER))
    assert signature is not None
    assert signature.key == SIGNER.public


def test_an_image_that_is_there_is_not_signed_in_passing(library: Library, disk: Path) -> None:
    """Its source was not read again, so nobody knows what would be signed."""
    add_image(library, disk, "lab")
    assert library.signature(find_or_add(library, "lab", signer=SIGNER)) is None


@pytest.mark.parametrize("step", ["write_durably", "Path.rename", "sync_folder"])
@pytest.mark.parametrize("call", [1, 2])
def test_a_signed_image_comes_whole_or_not_at_all(
    library: Library, disk: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    """The first call is for the signature or the manifest, the second for the other one."""
    before = tree(library.root)
    target = f"broadcaster.library.library.{step}"
    real = Path.rename if step == "Path.rename" else getattr(library_module, step)
    calls = 0

    def fail(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(28, os.strerror(28))
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        with pytest.raises(LibraryError, match="is full"):
            add_image(library, disk, "lab", signer=SIGNER)
    if (step, call) == ("sync_folder", 2):  # both have their names already
        assert library.signature(library.load("lab")) is not None
    else:
        assert tree(library.root) == before


@pytest.mark.system
@pytest.mark.parametrize("step", range(1, 8))
def test_no_kill_leaves_an_image_unsigned_that_was_to_be_signed(library: Library, disk: Path, step: int) -> None:
    command = [sys.executable, "-c", SIGN_AND_DIE, str(library.root), str(disk), str(step)]
    ran = subprocess.run(command, check=False)
    assert ran.returncode in {0, -signal.SIGKILL}
    for name in library.names():
        assert library.signature(library.load(name)) is not None
    outcome = add_image(library, disk, "lab")
    assert outcome.manifest.header.version == 1
    assert (outcome.signature is not None) == outcome.is_unchanged  # what was left over of a killed one means nothing
    assert library.signature(outcome.manifest) == outcome.signature


SIGN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from broadcaster.library import library
from broadcaster.library.adding import add_image
from protocol.signing import SigningKey
steps = int(sys.argv[3])
def deadly(call):
    def wrapped(*arguments):
        global steps
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return wrapped
opened = library.Library.open(Path(sys.argv[1]))
for name in ("write_durably", "sync_folder", "remove_if_empty"):
    setattr(library, name, deadly(getattr(library, name)))
library.Path.rename = deadly(library.Path.rename)
add_image(opened, Path(sys.argv[2]), "lab", signer=SigningKey(bytes(32)))
"""


def test_refuses_before_anything_is_read(library: Library, disk: Path, tmp_path: Path) -> None:
    before = tree(library.root)
    with pytest.raises(ConfigError, match="cannot be an image's name"):
        add_image(library, disk, "../lab")
    with pytest.raises(ConfigError, match="level 20"):
        add_image(library, disk, "lab", level=20)
    with pytest.raises(SourceError, match="no such file"):
        add_image(library, tmp_path / "missing", "lab")
    with pytest.raises(SourceError, match="nothing but zeros"):
        add_image(library, sparse_file(tmp_path / "blank.img", MIB), "lab")
    assert tree(library.root) == before


def test_find_or_add(library: Library, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = find_or_add(library, str(disk))
    assert (added.header.name, added.header.version) == ("disk", 1)
    assert find_or_add(library, str(disk)).digest == added.digest
    monkeypatch.chdir(tmp_path)
    for reference in ("disk", "disk@1", "disk.img", "./disk.img"):
        assert find_or_add(library, reference).digest == added.digest
    with pytest.raises(ConfigError, match="neither an image"):
        find_or_add(library, "other")
    with pytest.raises(LibraryError, match="no version 2"):
        find_or_add(library, "disk@2")


@pytest.mark.parametrize(
    ("file", "name"),
    [("disk.img", "disk"), ("Win 11 (Labor).qcow2", "Win-11--Labor-"), (".hidden.img", "hidden"), ("ä.img", "image")],
)
def test_names_made_from_files(file: str, name: str) -> None:
    assert name_for(Path("/images") / file) == name
    assert len(name_for(Path("a" * 200))) == 64


def test_progress_counts_the_bytes_to_read(library: Library, tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 32 * MIB, {at * MIB: noise(at, 4096) for at in range(32)})
    seen: list[tuple[str, int, int]] = []
    add_image(library, disk, "lab", progress=lambda *progress: seen.append(progress))
    assert seen == [("reading", count * CHUNK_SIZE, 32 * CHUNK_SIZE) for count in range(33)]
