from pathlib import Path
from typing import Any

import pytest

from protocol.configuration import ScriptStep, StepState
from receiver.configure.outcome import Outcome
from receiver.configure.scripts import run_script
from tests.receiver.configure.written_disk import WrittenDisk, fetched, make_filesystem, real_disk, run

pytestmark = real_disk


def ran(disk: WrittenDisk, tmp_path: Path, script: str, *arguments: str, **fields: Any) -> Outcome:
    file, files = fetched(tmp_path, "setup.sh", script.encode(), mode=0o755)
    with disk.place(files) as place:
        return run_script(place, ScriptStep(file=file, arguments=arguments, **fields))


def test_a_script_runs_inside_and_says_its_last_word(linux: WrittenDisk, tmp_path: Path) -> None:
    outcome = ran(linux, tmp_path, '#!/bin/sh\necho "$1" > /etc/made\necho all "$#" set\n', "a b; $(c)", "d")
    assert outcome.text == "ended well: all 2 set"
    with linux.mounted() as folder:
        assert (folder / "etc/made").read_text() == "a b; $(c)\n"
        assert list((folder / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho no disk >&2\nexit 7\n", "ended with code 7; last said: no disk"),
        ("#!/usr/bin/perl\n", "no interpreter"),
        ("#!/bin/sh\nsh -c 'kill -9 $$'\nexit $?\n", "ended with code 137"),
    ],
)
def test_one_that_fails_says_why(linux: WrittenDisk, tmp_path: Path, script: str, words: str) -> None:
    outcome = ran(linux, tmp_path, script)
    assert outcome.state is StepState.FAILED
    assert words in outcome.text
    assert "setup.sh" not in outcome.text, "whoever reports it names it"


def test_one_that_hangs_is_killed_with_what_it_has_started(linux: WrittenDisk, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho begun\n(while :; do touch /etc/alive; sleep 0.1; done) &\nsleep 100\n"
    outcome = ran(linux, tmp_path, script, limit_seconds=1)
    assert outcome == (StepState.FAILED, "killed after 1 s, its limit; last said: begun")
    with linux.mounted() as folder:  # which can be unmounted and mounted again: nobody holds it
        assert (folder / "etc/alive").exists()


def test_one_that_leaves_something_running_is_done_all_the_same(linux: WrittenDisk, tmp_path: Path) -> None:
    script = "#!/bin/sh\n(exec > /etc/log 2>&1; sleep 100) &\necho ended\n"
    assert ran(linux, tmp_path, script).text == "ended well: ended"


def test_it_finds_the_boot_partition_where_its_system_does(linux: WrittenDisk, tmp_path: Path) -> None:
    linux.enlarge(16)
    run("sfdisk", "--quiet", "--append", str(linux.path), stdin="size=8192\n")
    with linux.opened() as disk:
        make_filesystem("ext2", disk.table().partitions[1].node, None)
        run("e2label", disk.table().partitions[1].node, "boot")
    with linux.mounted() as folder:
        (folder / "etc/fstab").write_text("LABEL=boot /boot ext2 defaults 0 2\n")
        (folder / "boot").mkdir()
    assert ran(linux, tmp_path, "#!/bin/sh\necho made > /boot/made\n").state is StepState.DONE
    with linux.mounted(2) as folder:
        assert (folder / "made").read_text() == "made\n"
    with linux.mounted() as folder:
        assert list((folder / "boot").iterdir()) == []
