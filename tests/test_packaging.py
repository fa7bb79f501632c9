"""The unit for systemd: it parses, it is hardened, and it starts what there is."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from slatecast.cli.serve import serve

UNIT = Path(__file__).parent.parent / "packaging/slatecast.service"
TEXT = UNIT.read_text(encoding="utf-8")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt-get install systemd"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    path = tmp_path / "slatecast.service"
    path.write_text(TEXT.replace("/usr/local/bin/slatecast", "/usr/bin/env"))
    return path


@needs_systemd
@pytest.mark.system
@pytest.mark.slow
def test_systemd_finds_no_fault(installed: Path) -> None:
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", installed], check=False, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


@needs_systemd
@pytest.mark.system
@pytest.mark.slow
def test_it_is_hardened(installed: Path) -> None:
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15", installed],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_it_starts_the_service_and_waits_for_it() -> None:
    command = re.search(r"^ExecStart=(.*)$", TEXT, re.M)
    assert command is not None
    program, name, *arguments = shlex.split(command[1])
    assert (Path(program).name, name) == ("slatecast", "serve")
    serve.make_context("serve", arguments, auto_envvar_prefix=None)
    assert re.search(r"^Type=notify$", TEXT, re.M)


def test_the_user_of_the_service_is_made() -> None:
    user = re.search(r"^User=(.*)$", TEXT, re.M)
    assert user is not None
    assert (UNIT.parent / "slatecast.sysusers").read_text(encoding="utf-8").split()[:2] == ["u", user[1]]
