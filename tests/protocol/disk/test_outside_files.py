import struct
from pathlib import Path

import pytest

from protocol.disk.outside_files import refuse_outside_files
from protocol.errors import SourceError

HEAD = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="twoGbMaxExtentFlat"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "disk-flat.vmdk").write_bytes(bytes(512))
    (tmp_path / "disk.raw").write_bytes(bytes(512))
    (tmp_path / "link.vmdk").symlink_to(tmp_path / "disk.raw")
    (tmp_path / "folder.vmdk").mkdir()
    return tmp_path


def descriptor(folder: Path, *extents: str) -> Path:
    path = folder / "disk.vmdk"
    path.write_text(HEAD + "".join(f"{line}\n" for line in extents))
    return path


@pytest.mark.parametrize(
    "extents",
    [
        ('RW 1 FLAT "disk-flat.vmdk" 0',),
        ('RW 1 FLAT "disk-flat.vmdk" 0', "RW 4 ZERO", 'RDONLY 1 SPARSE "disk.vmdk"'),
        (),
    ],
)
def test_files_beside_a_vmdk_may_be_named(folder: Path, extents: tuple[str, ...]) -> None:
    refuse_outside_files(descriptor(folder, *extents), "vmdk")


@pytest.mark.parametrize(
    "extent",
    [
        'RW 1 FLAT "/etc/passwd" 0',
        'RW 1 FLAT "../disk-flat.vmdk" 0',
        'RW 1 FLAT "nbd://127.0.0.1:1/x.vmdk" 0',
        'RW 1 FLAT "nbd:127.0.0.1:1.vmdk" 0',
        'RW 1 FLAT "json:{}.vmdk" 0',
        'RW 1 FLAT "disk.raw" 0',
        'RW 1 FLAT "link.vmdk" 0',
        'RW 1 FLAT "folder.vmdk" 0',
        'RW 1 FLAT "missing.vmdk" 0',
        'RW 1 FLAT "" 0',
        "RW 1 FLAT disk.raw 0",
        '  RW 1 FLAT "disk.raw" 0',
        '\rRW 1 FLAT "disk.raw" 0',
        '\x0bRW 1 FLAT "disk.raw" 0',
        'RW x FLAT "disk.raw" 0',
        'RW\n1 FLAT "disk.raw" 0',
        'NOACCESS 1 VMFS "disk.raw"',
    ],
)
def test_no_other_file_may(folder: Path, extent: str) -> None:
    path = descriptor(folder, 'RW 1 FLAT "disk-flat.vmdk" 0', extent)
    with pytest.raises(SourceError, match=r"no vmdk file beside it|list of files cannot be read"):
        refuse_outside_files(path, "vmdk")


def test_a_sparse_vmdk_that_is_really_a_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.vmdk"
    header = struct.Struct("<4sIIQQQQ")
    path.write_bytes(header.pack(b"KDMV", 1, 3, 0, 128, 1, 20).ljust(512, b"\0") + HEAD.encode())
    with pytest.raises(SourceError, match="holds nothing"):
        refuse_outside_files(path, "vmdk")
    path.write_bytes(header.pack(b"KDMV", 1, 3, 2048, 128, 1, 20).ljust(512, b"\0"))
    refuse_outside_files(path, "vmdk")


@pytest.mark.parametrize(
    ("version", "features", "is_refused"), [(3, 4, True), (3, 7, True), (3, 1, False), (2, 4, False)]
)
def test_a_qcow2_with_its_data_elsewhere_is_refused(
    tmp_path: Path, version: int, features: int, is_refused: bool
) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(struct.pack(">4sI64xQ", b"QFI\xfb", version, features))
    if is_refused:
        with pytest.raises(SourceError, match="keeps its data in another file"):
            refuse_outside_files(path, "qcow2")
    else:
        refuse_outside_files(path, "qcow2")


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"KDMV", b"\xff" * 50])
@pytest.mark.parametrize("virtual_format", ["qcow2", "vmdk", "vdi"])
def test_what_is_cut_short_is_left_to_others(tmp_path: Path, content: bytes, virtual_format: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    refuse_outside_files(path, virtual_format)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        refuse_outside_files(tmp_path / "missing", "vmdk")
