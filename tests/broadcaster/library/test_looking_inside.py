import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from broadcaster.library import looking_inside
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.looking_inside import MAX_DEPTH, EntryKind, Extracted, _Copy, extract, list_folder
from broadcaster.library.removing import is_in_use
from protocol.errors import ConfigError, DiskError, RefusedError, TargetError
from protocol.manifest import Manifest
from tests.broadcaster.library.disks import MIB, needs, needs_root, noise, sparse_file
from tests.broadcaster.library.small_disks import small_disk

real = [
    needs_root,
    needs("mkfs.xfs", "xfsprogs"),
    needs("mkntfs", "ntfs-3g"),
    needs("mkfs.btrfs", "btrfs-progs"),
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="no /dev/fuse: modprobe fuse"),
]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def plain(library: Library, tmp_path: Path) -> Manifest:
    return add_image(library, sparse_file(tmp_path / "disk", 2 * MIB, {0: noise(1, MIB)}), "plain").manifest


class TestReal:
    pytestmark = real

    @pytest.fixture(params=["ext4", "ntfs", "btrfs", "xfs"])
    def manifest(self, request: pytest.FixtureRequest, library: Library, tmp_path: Path) -> Iterator[Manifest]:
        path = small_disk(tmp_path / "disk", request.param)
        yield add_image(library, path, "lab").manifest
        assert not is_in_use(library, "lab", 1)
        assert str(library.root) not in Path("/proc/self/mounts").read_text()

    def test_folders_are_listed_and_files_taken_out(self, library: Library, manifest: Manifest, tmp_path: Path) -> None:
        assert [entry.name for entry in list_folder(library, manifest, "/")] == ["1", "2", "3"]
        home = {entry.name: entry for entry in list_folder(library, manifest, "/2/home")}
        assert home["anna"].kind is EntryKind.FOLDER
        assert (home["link"].kind, home["link"].target) == (EntryKind.LINK, "/etc/passwd")
        (thesis,) = list_folder(library, manifest, "2/home/anna/thesis")
        assert (thesis.kind, thesis.size) == (EntryKind.FILE, 5 * MIB)
        with pytest.raises(RefusedError, match="there is nothing to read at '/2/home/out/passwd'"):
            list_folder(library, manifest, "/2/home/out/passwd")
        with pytest.raises(RefusedError, match="there is nothing to read"):
            list_folder(library, manifest, "/2/home/link")

        told: list[int] = []
        done = extract(library, manifest, "/2/home", tmp_path / "home", lambda _what, count, _total: told.append(count))

        assert (done.files, done.folders, done.bytes) == (1, 2, 5 * MIB)
        assert done.links == 2
        assert told[-1] == 5 * MIB
        assert (tmp_path / "home" / "link").readlink() == Path("/etc/passwd")
        assert not (tmp_path / "home" / "pipe").exists()
        assert done.left_out == (1 if "pipe" in home else 0)
        extract(library, manifest, "/2/sum", tmp_path / "sum")
        summed = hashlib.sha256((tmp_path / "home" / "anna" / "thesis").read_bytes()).hexdigest()
        assert (tmp_path / "sum").read_text().startswith(summed)
        assert (tmp_path / "sum").stat().st_mode & 0o022 == 0


class TestCopy:
    """What a stranger's folder may hold; here one of our own plays it."""

    @pytest.fixture
    def inside(self, tmp_path: Path) -> Path:
        inside = tmp_path / "inside"
        (inside / "a" / "b").mkdir(parents=True)
        (inside / "a" / "file").write_bytes(b"contents")
        (inside / "a" / "file").chmod(0o6777)
        (inside / "a" / "out").symlink_to(tmp_path)
        (inside / "a" / "new\nline\x1b[31m\udc80").write_bytes(b"")
        os.mkfifo(inside / "a" / "pipe")
        return inside

    def take(self, source: Path, destination: Path, check: Any = lambda: None) -> Extracted:
        done = Extracted()
        with open_folder(source) as one, open_folder(destination.parent) as other:
            _Copy(done, check, lambda _what, _done, _total: None, destination).take(one, other, destination.name)
        return done

    def test_links_pipes_rights_and_odd_names(self, inside: Path, tmp_path: Path) -> None:
        done = self.take(inside, tmp_path / "taken")
        assert (done.files, done.folders, done.links, done.left_out, done.bytes) == (2, 3, 1, 1, 8)
        file = tmp_path / "taken" / "a" / "file"
        assert stat.S_IMODE(file.stat().st_mode) == 0o755
        assert file.stat().st_mtime == (inside / "a" / "file").stat().st_mtime
        assert (tmp_path / "taken" / "a" / "out").is_symlink()
        assert (tmp_path / "taken" / "a" / "new\nline\x1b[31m\udc80").exists()

    def test_what_is_there_is_never_overwritten(self, inside: Path, tmp_path: Path) -> None:
        (tmp_path / "taken").symlink_to(inside)
        with pytest.raises(DiskError, match="taken: writing failed: File exists"):
            self.take(inside, tmp_path / "taken")
        with pytest.raises(DiskError, match="File exists"):
            self.take(inside / "a" / "file", tmp_path / "taken")

    def test_a_full_disk_is_the_destinations_fault(
        self, inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_descriptor: int, _data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DiskError, match="taken: writing failed: No space left"):
            self.take(inside / "a" / "file", tmp_path / "taken")

    def test_depth_has_a_bound(self, tmp_path: Path) -> None:
        inside = tmp_path / "inside"
        inside.mkdir()
        with open_folder(inside) as above:
            for _ in range(MAX_DEPTH):
                os.mkdir("d", dir_fd=above)
                below = os.open("d", os.O_RDONLY, dir_fd=above)
                os.dup2(below, above)
                os.close(below)
        with pytest.raises(RefusedError, match="more than 200 deep"):
            self.take(inside, tmp_path / "taken")

    def test_ctrl_c_ends_it(self, inside: Path, tmp_path: Path) -> None:
        def interrupted() -> None:
            raise RefusedError("interrupted")

        with pytest.raises(RefusedError, match="interrupted"):
            self.take(inside, tmp_path / "taken", interrupted)
        assert not (tmp_path / "taken").exists()


class open_folder:  # noqa: N801 - reads as a function
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/7", "has no partition 7, only 0"),
        ("/home", "begins with the number of a partition"),
        ("/²", "begins with the number of a partition"),
        ("/9999999", "begins with the number of a partition"),
        ("/0/etc", "partition 0 of image plain, version 1 holds no file system that is known"),
    ],
)
def test_a_path_that_cannot_be_is_refused(library: Library, plain: Manifest, path: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        list_folder(library, plain, path)


@pytest.mark.parametrize(
    ("filesystem", "words"),
    [
        ("crypto_LUKS", r"is encrypted \(crypto_LUKS\)"),
        ("BitLocker", "is encrypted"),
        ("swap", "holds swap: there are"),
    ],
)
def test_what_nobody_can_look_into_is_one_line(library: Library, plain: Manifest, filesystem: str, words: str) -> None:
    part = msgspec.structs.replace(plain.header.partitions[0], filesystem=filesystem)
    header = msgspec.structs.replace(plain.header, partitions=(part,))
    with pytest.raises(RefusedError, match=words):
        list_folder(library, SimpleNamespace(header=header), "/0")  # type: ignore[arg-type] # only its header is read


def test_where_nothing_can_be_put(library: Library, plain: Manifest, tmp_path: Path) -> None:
    (tmp_path / "there").symlink_to("nowhere")
    for destination, words in [("there", "is there already"), ("no/such/place", "no such folder")]:
        with pytest.raises(TargetError, match=words):
            extract(library, plain, "/0/etc", tmp_path / destination)
    with pytest.raises(RefusedError, match="means the whole disk"):
        extract(library, plain, "/", tmp_path / "new")


def test_partitions_are_listed_by_anybody_and_files_by_root(
    library: Library, plain: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (entry,) = list_folder(library, plain, "/")
    assert (entry.name, entry.kind, entry.size, entry.target) == ("0", EntryKind.PARTITION, 2 * MIB, "unknown")
    monkeypatch.setattr(looking_inside, "MOUNTABLE", ("",))
    with pytest.raises(ConfigError, match="run this as root"):
        list_folder(library, plain, "/0")
