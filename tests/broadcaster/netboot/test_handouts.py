import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.environment.description import FILES
from broadcaster.netboot.decisions import Boots, Decision
from broadcaster.netboot.handouts import Handouts, everyones
from broadcaster.netboot.scripts import Scripts
from protocol.errors import ConfigError

MAC = "52:54:00:12:34:56"
SCRIPTS = Scripts("10.0.4.2", 8886, "")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    folder = tmp_path / "environment"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def handouts(environment: Path) -> Iterator[Handouts]:
    with Handouts(environment, SCRIPTS, everyones(False)) as made:
        yield made


def test_all_of_it_can_be_read_without_rights_and_nothing_else_is_there(handouts: Handouts) -> None:
    files = {str(path.relative_to(handouts.tftp)) for path in handouts.tftp.rglob("*") if path.is_file()}
    loaders = {"undionly.kpxe", "ipxe.efi", "shimx64.efi", "grubx64.efi", "boot.ipxe"}
    loaders |= {"disk.efi"} if handouts.has_disk_loader else set()
    assert files == loaders | {"grub/grub.cfg", "grub/vmlinuz", "grub/initrd.img"}
    for path in (handouts.folder, *handouts.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o555 == 0o555 if path.is_dir() else mode & 0o444 == 0o444
        assert not mode & 0o022


def test_an_environment_that_is_built_anew_does_not_change_under_a_pc(environment: Path, handouts: Handouts) -> None:
    (environment / "new").write_text("another")
    (environment / "new").replace(environment / "vmlinuz")
    assert handouts.kernel.read_text() == "vmlinuz"


def test_what_others_may_not_read_is_copied(environment: Path) -> None:
    (environment / "vmlinuz").chmod(0o600)
    with Handouts(environment, SCRIPTS, everyones(False)) as handouts:
        assert stat.S_IMODE(handouts.kernel.stat().st_mode) == 0o644
    assert stat.S_IMODE((environment / "vmlinuz").stat().st_mode) == 0o600


def test_machines_come_and_go(handouts: Handouts) -> None:
    part = handouts.tftp / "grub/grub.cfg"
    assert handouts.publish({MAC: Decision(Boots.ENVIRONMENT, "PC-01")})
    assert not handouts.publish({MAC: Decision(Boots.ENVIRONMENT, "PC-01")})
    assert handouts.machines.read_text() == f"{MAC},set:answered,set:ordered\n"
    assert "slatecast.seat=PC-01" in part.read_text()
    assert handouts.publish({MAC: Decision(Boots.ENVIRONMENT, "PC-02")})
    assert "slatecast.seat=PC-02" in part.read_text()
    assert handouts.publish({})
    assert MAC not in part.read_text()
    assert not handouts.machines.read_text()


def test_machines_of_rooms_are_answered_without_an_order(handouts: Handouts) -> None:
    other = "52:54:00:00:00:01"
    assert handouts.publish({}, {MAC, other})
    assert not handouts.publish({}, frozenset({MAC, other}))
    assert handouts.machines.read_text() == f"{other},set:answered\n{MAC},set:answered\n"
    assert handouts.publish({MAC: Decision(Boots.ENVIRONMENT)}, {MAC, other})
    assert handouts.machines.read_text() == f"{MAC},set:answered,set:ordered\n{other},set:answered\n"
    assert other not in (handouts.tftp / "grub/grub.cfg").read_text()


def test_it_is_gone_afterwards_and_when_it_could_not_be_made(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(environment.parent))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = sorted(environment.parent.iterdir())
    with Handouts(environment, SCRIPTS, everyones(True)):
        assert sorted(environment.parent.iterdir()) != before
    (environment / "initrd.img").unlink()
    with (
        pytest.raises(ConfigError, match=r"initrd\.img: No such file"),
        Handouts(environment, SCRIPTS, everyones(True)),
    ):
        pass
    assert sorted(environment.parent.iterdir()) == before
