from pathlib import Path

import pytest

from broadcaster.environment import kernel_modules
from broadcaster.environment.kernel_modules import keep_modules, with_dependencies
from protocol.errors import LibraryError

INDEX = """\
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/net/net_failover.ko
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/md/raid1.ko: kernel/drivers/md/md-mod.ko
kernel/drivers/md/md-mod.ko:
kernel/drivers/net/ethernet/realtek/r8169.ko:
"""
KEPT = {
    "kernel/drivers/net/virtio_net.ko",
    "kernel/net/core/failover.ko",
    "kernel/drivers/net/net_failover.ko",
    "kernel/drivers/net/ethernet/realtek/r8169.ko",
}


def test_dependencies_come_along_and_nothing_else() -> None:
    assert with_dependencies(INDEX) == KEPT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "usr/lib/modules/6.1.0"
    for line in INDEX.splitlines():
        path = folder / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("rtl_nic/rtl8168g-2.fw", "rtlwifi/rtl8192.bin"):
        path = tmp_path / "usr/lib/firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def run_inside(_root: Path, program: str, *arguments: str) -> str:
        if program == "depmod":
            (folder / "modules.dep").write_text(INDEX)
            (folder / "modules.dep.bin").touch()
            (folder / "modules.order").touch()
            return ""
        assert program == "modinfo"
        assert "/usr/lib/modules/6.1.0/kernel/drivers/net/ethernet/realtek/r8169.ko" in arguments
        return "rtl_nic/rtl8168g-*.fw\n"

    monkeypatch.setattr(kernel_modules, "run_inside", run_inside)
    return tmp_path


def test_the_rest_is_removed_with_the_firmware_that_nobody_asks_for(root: Path) -> None:
    assert keep_modules(root) == "6.1.0"
    folder = root / "usr/lib/modules/6.1.0"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.ko")} == KEPT
    assert (folder / "modules.dep.bin").exists()
    assert not (folder / "modules.dep").exists()
    firmware = root / "usr/lib/firmware"
    assert [path.relative_to(firmware).as_posix() for path in firmware.rglob("*")] == [
        "rtl_nic",
        "rtl_nic/rtl8168g-2.fw",
    ]


def test_two_kernels_are_refused(root: Path) -> None:
    (root / "usr/lib/modules/6.2.0").mkdir()
    with pytest.raises(LibraryError, match="2 kernels"):
        keep_modules(root)
