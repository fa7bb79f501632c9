import os
from pathlib import Path

import pytest

from protocol.configuration import DriverSet, DriversStep, FilesStep, StepState, System
from protocol.errors import DiskError
from receiver.configure.files import copy_drivers, matching, write_files
from receiver.configure.place import Machine
from tests.receiver.configure.written_disk import PC, WrittenDisk, fetched, real_disk

SETS = (
    DriverSet(vendor="dell*", product="*70?0", files=()),
    DriverSet(vendor="*", product="*", files=()),
    DriverSet(vendor="LENOVO", product="*", files=()),
)


@pytest.mark.parametrize(
    ("machine", "found"), [(PC, [0, 1]), (Machine("lenovo", "x"), [1, 2]), (Machine(), [1])], ids=str
)
def test_sets_match_by_patterns_whatever_the_case(machine: Machine, found: list[int]) -> None:
    step = DriversStep(system=System.WINDOWS, folder="Drivers", sets=SETS)
    assert matching(step, machine) == [SETS[number] for number in found]


class TestOnDisks:
    pytestmark = real_disk

    def test_files_are_written_with_their_attributes_once(self, linux: WrittenDisk, tmp_path: Path) -> None:
        first, files = fetched(tmp_path, "etc/app/a.conf", b"a=1\n", mode=0o640, owner=7, group=8)
        second, more = fetched(tmp_path, "srv/big", b"x" * (3 << 20), mode=0o600)
        step = FilesStep(system=System.LINUX, files=(first, second))
        with linux.place({**files, **more}) as place:
            assert write_files(place, step).state is StepState.DONE
            assert write_files(place, FilesStep(system=System.LINUX, files=(first,))).state is StepState.SKIPPED
        with linux.mounted() as folder:
            status = (folder / "etc/app/a.conf").stat()
            assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o640, 7, 8)
            assert (folder / "srv/big").stat().st_size == 3 << 20

    def test_a_full_file_system_keeps_what_was_there(self, linux: WrittenDisk, tmp_path: Path) -> None:
        with linux.mounted() as folder:
            (folder / "etc/kept.conf").write_text("old")
        file, files = fetched(tmp_path, "etc/kept.conf", os.urandom(64 << 20))
        with linux.place(files) as place, pytest.raises(DiskError, match=r"/etc/kept\.conf: writing failed: No space"):
            write_files(place, FilesStep(system=System.LINUX, files=(file,)))
        with linux.mounted() as folder:
            assert (folder / "etc/kept.conf").read_text() == "old"
            assert [path.name for path in (folder / "etc").iterdir() if "slatecast" in path.name] == []

    def test_drivers_of_the_machine_replace_those_of_another(self, windows: WrittenDisk, tmp_path: Path) -> None:
        with windows.mounted() as folder:
            (folder / "Drivers/old").mkdir(parents=True)
        nic, files = fetched(tmp_path, "net/e1d.inf", b"[Version]")
        other, _ = fetched(tmp_path, "net/rtl.inf", b"[Other]")
        sets = (
            DriverSet(vendor="Dell*", product="*", files=(nic,)),
            DriverSet(vendor="HP*", product="*", files=(other,)),
        )
        step = DriversStep(system=System.WINDOWS, folder="drivers", sets=sets)
        with windows.place(files) as place:
            for _ in range(2):
                assert "1 files of drivers for Dell Inc. OptiPlex 7080" in copy_drivers(place, step).text
        with windows.mounted() as folder:
            found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
            assert [path for path in found if "river" in path] in (["Drivers/net/e1d.inf"], ["drivers/net/e1d.inf"])

    def test_no_drivers_for_a_machine_is_no_fault(self, windows: WrittenDisk) -> None:
        with windows.place() as place:
            outcome = copy_drivers(place, DriversStep(system=System.WINDOWS, folder="Drivers", sets=()))
        assert outcome.text == "no drivers for Dell Inc. OptiPlex 7080"
