import os
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from broadcaster.environment import building
from broadcaster.environment.building import BuildSetting, build_environment
from broadcaster.environment.description import DESCRIPTION, INITRD, read_description
from protocol.errors import ConfigError, LibraryError, RefusedError, TransportError
from tests.attacks.canaries import found_in
from tests.broadcaster.environment.small_environment import small_environment
from tests.broadcaster.library.disks import needs, needs_root
from tests.lab.environment_folder import CANARIES, environment_folder, missing_for_environment

MIB = 1 << 20
MOST_INITRD = 200 * MIB


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(building, "need_tool", lambda name: name)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, as_root: None) -> None:
    """The build's own order and care, with little to do in each step."""

    def unpack_debian(root: Path, *_: object) -> dict[str, str]:
        (root / "boot").mkdir(parents=True)
        (root / "boot/vmlinuz-6.1.0").write_text("kernel")
        (root / "etc").mkdir()
        (root / "etc/debian_version").write_text("12.1\n")
        (root / "usr/lib").mkdir(parents=True)
        (root / "usr/lib/libc.so").write_text("libc")
        os.utime(root / "usr/lib/libc.so", (1_700_000_000, 1_700_000_000))
        return {"libc6": "2.36"}

    def take_loaders(_downloads: Path, new: Path) -> None:
        for name in ("undionly.kpxe", "ipxe.efi", "shimx64.efi", "grubx64.efi"):
            (new / name).write_text(name)

    def finish(root: Path, _downloads: Path, trust: bytes | None) -> None:
        (root / "etc/trust").write_bytes(trust or b"")

    monkeypatch.setattr(building, "unpack_debian", unpack_debian)
    monkeypatch.setattr(building, "keep_modules", lambda _root: "6.1.0")
    monkeypatch.setattr(building, "leave_out", lambda _root: None)
    monkeypatch.setattr(building, "add_python", lambda _root: {"msgspec": "0.22"})
    monkeypatch.setattr(building, "finish", finish)
    monkeypatch.setattr(building, "take_loaders", take_loaders)
    monkeypatch.setattr(building, "compile_all", lambda _root: None)
    monkeypatch.setattr(building, "run_inside", lambda *_: "slatecast, version 0.1.0\n")


SETTING = BuildSetting(level=1, mirrors=["http://mirror.lan/debian"])


@needs_root
@needs("cpio", "cpio")
@pytest.mark.usefixtures("steps")
def test_a_build_replaces_the_older_one_and_leaves_nothing_beside(tmp_path: Path) -> None:
    small_environment(tmp_path / "boot")
    said: list[str] = []
    environment = build_environment(tmp_path / "boot", SETTING, said.append)
    assert read_description(tmp_path / "boot") == environment
    assert (environment.kernel, environment.debian, environment.has_trust) == ("6.1.0", "12.1", False)
    assert environment.built_at == 1_700_000_000
    assert {path.stat().st_mtime for path in (tmp_path / "boot").iterdir()} == {1_700_000_000}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "boot").iterdir()} == {0o644}
    assert [path.name for path in tmp_path.iterdir()] == ["boot"]
    assert said[-1] == "packing"


@needs_root
@needs("cpio", "cpio")
@pytest.mark.usefixtures("steps")
def test_two_builds_are_the_same_bytes_and_another_trust_is_not(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_environment(tmp_path / name, SETTING)
    build_environment(tmp_path / "trusting", replace(SETTING, trust=b"public keys"))
    one, two, trusting = (read_description(tmp_path / name) for name in ("one", "two", "trusting"))
    assert one == two
    assert trusting.files[INITRD] != one.files[INITRD]
    assert trusting.has_trust


@pytest.mark.parametrize("step", ["unpack_debian", "keep_modules", "add_python", "compile_all", "take_loaders"])
@pytest.mark.parametrize("error", [TransportError("mirror"), KeyboardInterrupt(), OSError(28, "No space left")])
@pytest.mark.usefixtures("steps")
def test_whatever_happens_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    small_environment(tmp_path / "boot")
    before = {path.name: path.read_bytes() for path in (tmp_path / "boot").iterdir()}

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(building, step, fail)
    with pytest.raises(LibraryError if isinstance(error, OSError) else type(error)):
        build_environment(tmp_path / "boot", SETTING)
    assert {path.name: path.read_bytes() for path in (tmp_path / "boot").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["boot"]


def test_only_root_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="needs root"):
        build_environment(tmp_path / "boot", SETTING)


@pytest.mark.usefixtures("as_root")
def test_nothing_begins_where_it_could_not_end(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(ConfigError, match=r"holds thesis.odt"):
        build_environment(tmp_path, SETTING)
    with pytest.raises(ConfigError, match="no release"):
        build_environment(tmp_path / "boot", BuildSetting(suite="12"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


# --- a whole one -----------------------------------------------------------------------------------------------------

MISSING = missing_for_environment()


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(MISSING is not None, reason=f"no environment can be built: {MISSING}")
def test_a_whole_environment_is_small_and_holds_no_secret() -> None:
    """Keys and tokens lay where they usually do while it was built; nothing of them is in it."""
    folder = environment_folder()
    environment = read_description(folder)
    assert environment.files[INITRD].size <= MOST_INITRD
    assert {"partclone", "efibootmgr", "udev", "shim-signed", "ipxe"} <= set(environment.packages)
    with (folder / INITRD).open("rb") as file:
        unpacked = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert len(unpacked) == environment.initrd_unpacked
    assert not found_in(list(CANARIES), INITRD, unpacked)
    assert not found_in(list(CANARIES), DESCRIPTION, (folder / DESCRIPTION).read_bytes())
    for name in (
        *(b"init", b"usr/sbin/partclone.ntfs", b"usr/lib/python3/dist-packages/receiver/service.pyc"),
        *(b"usr/bin/mtools", b"usr/lib/x86_64-linux-gnu/gconv/IBM850.so"),
    ):
        assert b"00000000" + name + b"\0" in unpacked  # behind a checksum that is none
    for name in (b"etc/machine-id", b"usr/lib/python3/dist-packages/dashboards", b"usr/sbin/mdadm", b"usr/sbin/lvm"):
        assert b"00000000" + name + b"\0" not in unpacked
