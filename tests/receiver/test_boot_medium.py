from pathlib import Path

import pytest

from receiver import boot_medium
from receiver.boot_medium import boot_names, names_in

PARTITION = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@pytest.mark.parametrize(
    ("command_line", "names"),
    [
        ("", set()),
        ("console=ttyS0 quiet", set()),
        ("initrd=initrd.img root=/dev/sda2 ro", {"/dev/sda2"}),
        (f"root=PARTUUID={PARTITION}", {PARTITION.lower()}),
        ("root=PARTUUID=ab-01/PARTNROFF=1", {"ab-01"}),
        ('root="UUID=ab12-cd34"', {"ab12-cd34"}),
        ("root=UUID=AB12-CD34 rootflags=subvol=@", {"ab12-cd34"}),
        ("boot=live live-media=/dev/disk/by-label/LIVE", {"live"}),
        ("root=live:LABEL=Fedora rd.live.ram", {"fedora"}),
        ("archisodevice=UUID=2026-11-21", {"2026-11-21"}),
        ("nfsroot=10.0.0.1:/srv xroot=/dev/sdb", set()),
    ],
)
def test_the_command_line_names_it(command_line: str, names: set[str]) -> None:
    assert names_in(command_line) == names


def test_the_loader_names_it() -> None:
    value = b"\x06\0\0\0" + f"{PARTITION}\0".encode("utf-16-le")
    assert names_in("root=/dev/ram0", value) == {"/dev/ram0", PARTITION.lower()}
    for length in range(len(value)):
        names_in("", value[:length])


def test_what_is_not_there_names_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boot_medium, "_COMMAND_LINE", tmp_path / "none")
    monkeypatch.setattr(boot_medium, "_LOADER_PARTITION", tmp_path / "none")
    assert boot_names() == frozenset()
    (tmp_path / "cmdline").write_bytes(b"root=/dev/vda1 \xff\n")
    monkeypatch.setattr(boot_medium, "_COMMAND_LINE", tmp_path / "cmdline")
    assert boot_names() == {"/dev/vda1"}
