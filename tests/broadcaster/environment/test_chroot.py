import os
from pathlib import Path

import pytest

from broadcaster.environment.chroot import run_inside
from protocol.errors import LibraryError


@pytest.fixture(autouse=True)
def chroot_that_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "chroot"
    tool.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_says_what_the_program_says(tmp_path: Path) -> None:
    assert run_inside(tmp_path, "echo", "a", "b c") == "a b c\n"


def test_nothing_of_this_machines_environment_goes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATECAST_CAST_TOKEN", "correct horse battery staple")
    assert "correct horse" not in run_inside(tmp_path, "env")


def test_a_failure_is_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"sh failed in the environment: second$"):
        run_inside(tmp_path, "sh", "-c", "echo first >&2; echo second >&2; exit 3")
