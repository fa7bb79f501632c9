from pathlib import Path

import pytest

from broadcaster.host.catalogue import Catalogue, in_use
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.removing import remove_image
from broadcaster.library.signing import sign_image
from protocol.errors import LibraryError
from protocol.firmware import Firmware
from protocol.manifest import ManifestHeader
from protocol.signing import SigningKey
from tests.broadcaster.library.disks import noise
from tests.sample_messages import IMAGE_KEY
from tests.sample_trust import trust


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


def add(library: Library, name: str, seed: int, signer: SigningKey | None = IMAGE_KEY) -> None:
    source = library.root.parent / "source.img"
    source.write_bytes(noise(seed, 1 << 16))
    add_image(library, source, name, signer=signer)


def test_every_version_of_every_image(library: Library) -> None:
    add(library, "lab", 1)
    add(library, "lab", 2, SigningKey(bytes(31) + b"\7"))
    add(library, "other", 3, None)
    images, faults = Catalogue(library, trust()).read()
    assert faults == []
    assert [(each.name, each.version, each.is_signed) for each in images] == [
        ("lab", 1, True),
        ("lab", 2, False),
        ("other", 1, False),
    ]
    header = library.load("lab", 1).header
    assert (images[0].disk_size, images[0].stored_bytes, images[0].created) == (
        header.disk_size,
        header.stored_bytes,
        header.created,
    )
    assert (images[0].firmware, images[0].least_size) == (Firmware.UNKNOWN, header.disk_size)


def test_what_has_changed_is_read_again_and_nothing_else(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    add(library, "lab", 1, None)
    add(library, "other", 2)
    catalogue = Catalogue(library, trust())
    catalogue.read()
    read: list[str] = []
    header = library.header

    def noted(name: str, version: int) -> ManifestHeader:
        read.append(name)
        return header(name, version)

    monkeypatch.setattr(library, "header", noted)
    assert len(catalogue.read()[0]) == 2
    assert read == []
    sign_image(library, "lab", 1, IMAGE_KEY)
    assert all(image.is_signed for image in catalogue.read()[0])
    assert read == ["lab"]
    remove_image(library, "lab")
    assert [image.name for image in catalogue.read()[0]] == ["other"]


def test_a_damaged_image_is_a_fault_and_hides_no_other(library: Library) -> None:
    add(library, "lab", 1)
    add(library, "other", 2)
    library.manifest_path("lab", 1).write_bytes(b"nonsense")
    images, (fault,) = Catalogue(library, trust()).read()
    assert [image.name for image in images] == ["other"]
    assert fault.startswith("manifest of lab, version 1, is damaged: ")


def test_a_library_that_is_gone_is_told(library: Library, tmp_path: Path) -> None:
    library.root.rename(tmp_path / "elsewhere")
    with pytest.raises(LibraryError, match="No such file"):
        Catalogue(library, trust()).read()


def test_images_are_told_with_the_sessions_that_use_them(library: Library) -> None:
    add(library, "lab", 1)
    add(library, "other", 2)
    images, _ = Catalogue(library, trust()).read()
    told = in_use(images, {("lab", 1): tuple(f"{number:016x}" for number in range(20))})
    assert [len(image.sessions) for image in told] == [16, 0]
