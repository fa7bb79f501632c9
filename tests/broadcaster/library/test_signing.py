from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.signing import sign_image, signature_or_none, signed_by
from protocol.errors import ConfigError, LibraryError
from protocol.manifest import Manifest
from protocol.signing import Purpose, SigningKey, verify
from protocol.trust import Trust
from protocol.words import fingerprint_words
from tests.broadcaster.library.disks import MIB, noise, sparse_file, tree

OURS, EARLIER, FOREIGN = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
TRUST = Trust(
    director_key=SigningKey(bytes(32)).public, image_keys=(OURS.public, EARLIER.public), authority=b"not looked at"
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def manifest(library: Library, tmp_path: Path) -> Manifest:
    """Added without a key, as all images once were."""
    return add_image(library, sparse_file(tmp_path / "disk.img", MIB, {0: noise(1, MIB)}), "lab").manifest


def refusal(library: Library, manifest: Manifest) -> str:
    with pytest.raises(LibraryError) as raised:
        signed_by(library, manifest, TRUST)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_unsigned_image_may_not_be_cast(library: Library, manifest: Manifest) -> None:
    assert library.signature(manifest) is None
    said = refusal(library, manifest)
    assert said.startswith("image lab, version 1, is not signed")
    assert "sign it with 'slatecast image sign lab'" in said


@pytest.mark.parametrize("signer", [OURS, EARLIER])
def test_an_image_signed_by_a_key_of_the_trust(library: Library, manifest: Manifest, signer: SigningKey) -> None:
    assert sign_image(library, "lab", None, signer).digest == manifest.digest
    signature = signed_by(library, manifest, TRUST)
    assert signature.key == signer.public
    verify(signer.public, Purpose.IMAGE, manifest.digest, signature.signature)
    assert library.signature(library.load("lab")) == signature


def test_a_foreign_image_may_not_be_cast(library: Library, manifest: Manifest) -> None:
    sign_image(library, "lab", 1, FOREIGN)
    said = refusal(library, manifest)
    assert "is signed by a key that is not trusted here" in said
    assert " ".join(fingerprint_words(FOREIGN.public)) in said
    sign_image(library, "lab", 1, OURS)
    assert signed_by(library, manifest, TRUST).key == OURS.public


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 200, b"x" * 5000])
def test_a_damaged_signature_is_one_line(library: Library, manifest: Manifest, damage: bytes) -> None:
    sign_image(library, "lab", None, OURS)
    library.signature_path("lab", 1).write_bytes(damage)
    said = refusal(library, manifest)
    assert said.startswith("signature of image lab, version 1 ")
    assert "'slatecast image sign lab' makes another one" in said
    assert signature_or_none(library, manifest) is None
    sign_image(library, "lab", None, OURS)
    assert signature_or_none(library, manifest) == signed_by(library, manifest, TRUST)


def test_the_signature_of_another_version_does_not_count(library: Library, tmp_path: Path, manifest: Manifest) -> None:
    disk = sparse_file(tmp_path / "disk.img", MIB, {0: noise(2, MIB)})
    newer = add_image(library, disk, "lab", signer=OURS).manifest
    library.signature_path("lab", 1).write_bytes(library.signature_path("lab", 2).read_bytes())
    assert signed_by(library, newer, TRUST).key == OURS.public
    assert "is not one of this manifest" in refusal(library, manifest)


def test_a_manifest_that_was_exchanged_is_not_the_signed_one(library: Library, tmp_path: Path) -> None:
    disks = [sparse_file(tmp_path / f"{seed}.img", MIB, {0: noise(seed, MIB)}) for seed in (1, 2)]
    add_image(library, disks[0], "lab", signer=OURS)
    other = Library.open_or_create(tmp_path / "other")
    exchanged = add_image(other, disks[1], "lab").manifest
    library.manifest_path("lab", 1).write_bytes(exchanged.encode())
    assert "is not one of this manifest" in refusal(library, library.load("lab"))


def test_signing_what_is_not_there(library: Library, manifest: Manifest) -> None:
    before = tree(library.root)
    with pytest.raises(LibraryError, match="no image 'other'"):
        sign_image(library, "other", None, OURS)
    with pytest.raises(LibraryError, match="no version 2"):
        sign_image(library, "lab", 2, OURS)
    with pytest.raises(ConfigError):
        sign_image(library, "../lab", None, OURS)
    library.manifest_path("lab", 1).write_bytes(b"torn")
    with pytest.raises(LibraryError, match="is damaged"):
        sign_image(library, "lab", None, OURS)
    library.manifest_path("lab", 1).write_bytes(manifest.encode())
    assert tree(library.root) == before


def test_a_signature_is_there_whole_or_not_at_all(
    library: Library, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_image(library, "lab", None, EARLIER)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("write_durably", "Path.rename"):
        with monkeypatch.context() as patch:
            patch.setattr(f"broadcaster.library.library.{step}", fail)
            with pytest.raises(LibraryError, match="is full"):
                sign_image(library, "lab", None, OURS)
        assert signed_by(library, manifest, TRUST).key == EARLIER.public
