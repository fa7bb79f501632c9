"""Virtual disks that make the machine that reads them read, or fetch, something else.

FOG CVE-2023-46236 (requests that the server makes for others); OpenStack CVE-2022-47951 and CVE-2024-32498, which are
the same hole in the place that slatecast has as well: qemu-img opens what a virtual disk names.
"""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.errors import SourceError
from tests.broadcaster.library.disks import MIB, needs, run, tree
from tests.end_to_end.room import Room

pytestmark = [pytest.mark.system, pytest.mark.slow, needs("qemu-img", "qemu-utils")]

SECRET = b"what only the administrator of this machine may read"


@pytest.fixture
def bait() -> Iterator[socket.socket]:
    """A port that nobody has a reason to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def vmdk(folder: Path, name: str) -> Path:
    path = folder / "attack.vmdk"
    lines = ["# Disk DescriptorFile", "version=1", "CID=fffffffe", "parentCID=ffffffff", 'createType="monolithicFlat"']
    path.write_text("\n".join([*lines, f'RW {MIB // 512} FLAT "{name}" 0', ""]))
    return path


def qcow2_data(folder: Path, name: str) -> Path:
    """A data file under another name than the one that it was made with."""
    path, placeholder = folder / "attack.qcow2", "x" * len(name)
    (folder / placeholder).touch()
    options = f"data_file={folder / placeholder},data_file_raw=on"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), "1M")
    made = path.read_bytes()
    old = str(folder / placeholder).encode()
    assert old in made
    path.write_bytes(made.replace(old, name.encode().ljust(len(old), b"\0")))
    (folder / placeholder).unlink()
    return path


def qcow2_backing(folder: Path, name: str) -> Path:
    path = folder / "attack.qcow2"
    run("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", name, str(path), "1M")
    return path


MAKERS = [vmdk, qcow2_data, qcow2_backing]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("how", ["path", "path upwards", "nbd", "http", "nbd without slashes"])
def test_fog_cve_2023_46236_a_virtual_disk_reads_and_fetches_nothing_else(
    tmp_path: Path, bait: socket.socket, make: Callable[[Path, str], Path], how: str
) -> None:
    secret, port = tmp_path / "secret", bait.getsockname()[1]
    secret.write_bytes(SECRET.ljust(MIB, b"\0"))
    (tmp_path / "inbox").mkdir()
    name = {
        "path": str(secret),
        "path upwards": "../secret",
        "nbd": f"nbd://127.0.0.1:{port}/x",
        "http": f"http://127.0.0.1:{port}/x",
        "nbd without slashes": f"nbd:127.0.0.1:{port}",
    }[how]
    source = make(tmp_path / "inbox", name)
    library = Library.open_or_create(tmp_path / "library")
    before = tree(tmp_path)
    with pytest.raises(SourceError) as refused:
        add_image(library, source, "attack")
    assert str(source) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert tree(tmp_path) == before
    with pytest.raises(BlockingIOError):
        bait.accept()


def test_a_vmdk_in_two_files_is_still_taken(room: Room) -> None:
    source = room.source(size=2 * MIB + MIB)
    run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", str(source), str(room.folder / "a.vmdk"))
    assert (room.folder / "a-flat.vmdk").exists()
    room.add(room.folder / "a.vmdk", "vmdk")
    exported = room.start("image", "export", "vmdk", "out.raw", "--library", room.library)
    assert exported.finish() == 0
    assert (room.folder / "out.raw").read_bytes() == source.read_bytes()
