import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broadcaster.environment import debian_root
from broadcaster.environment.debian_root import apt_sources, run_in_own_session, unpack_debian
from protocol.errors import ConfigError, LibraryError, TransportError


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_mirrors_that_are_given_are_the_only_ones() -> None:
    assert apt_sources("trixie", ["http://mirror.lan/debian", "http://mirror.lan/debian-security/"]) == [
        "deb http://mirror.lan/debian trixie main non-free-firmware",
        "deb http://mirror.lan/debian trixie-updates main non-free-firmware",
        "deb http://mirror.lan/debian-security/ trixie-security main non-free-firmware",
    ]


@pytest.mark.parametrize("suite", ["", "Bookworm", "bookworm; reboot", "../etc", "-oX=y"])
def test_no_release(suite: str) -> None:
    with pytest.raises(ConfigError, match="no release of Debian"):
        apt_sources(suite, [])


@pytest.mark.parametrize("mirror", ["", "mirror", "ftp://mirror/debian", "http://mirror/a b", "http://m/$(reboot)"])
def test_no_mirror(mirror: str) -> None:
    with pytest.raises(ConfigError, match="no address of a mirror"):
        apt_sources("bookworm", [mirror])


def test_of_this_machines_sources_those_of_the_release_alone(tools: Path) -> None:
    rows = ["http://here/debian/ bookworm", "http://here/debian/ bookworm", "http://here/sec/ bookworm-security"]
    rows += ["http://vendor/apt/ stable", "http://here/debian/ trixie", "copy:/x bookworm"]
    tool(tools, "apt-get", "printf '%s\\n' " + " ".join(f"'{row}'" for row in rows))
    assert apt_sources("bookworm", []) == [
        "deb http://here/debian/ bookworm main non-free-firmware",
        "deb http://here/sec/ bookworm-security main non-free-firmware",
    ]


def test_a_release_that_this_machine_does_not_have_is_left_to_mmdebstrap(tools: Path, tmp_path: Path) -> None:
    tool(tools, "apt-get", "echo http://here/debian/ bookworm")
    assert apt_sources("trixie", []) == []
    tool(tools, "mmdebstrap", f"printf '%s\\n' \"$@\" >{tmp_path}/asked; exit 25")
    with pytest.raises(TransportError):
        unpack_debian(tmp_path / "root", "trixie", [], tmp_path / "downloads", None)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--components=main,non-free-firmware" in asked
    assert asked[-2:] == ["trixie", str(tmp_path / "root")]


def test_a_failing_mirror_is_one_line(tools: Path, tmp_path: Path) -> None:
    tool(tools, "mmdebstrap", "echo I: hello >&2; echo 'E: Failed to fetch x' >&2; echo 'E: apt failed' >&2; exit 25")
    with pytest.raises(TransportError, match=r"^no Debian bookworm from its mirror: Failed to fetch x$"):
        unpack_debian(tmp_path / "root", "bookworm", ["deb x"], tmp_path / "downloads", None)


def test_without_mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.disk.system_tools.find_tool", lambda _name: None)
    with pytest.raises(LibraryError, match="apt install mmdebstrap"):
        unpack_debian(tmp_path / "root", "bookworm", ["deb x"], tmp_path / "downloads", None)


def test_versions_and_a_cache_of_exactly_what_was_used(tools: Path, tmp_path: Path) -> None:
    script = f"""
for word; do case $word in {tmp_path}/root) root=$word ;; esac; done
mkdir -p "$root/var/cache/apt/archives"
echo new >"$root/var/cache/apt/archives/libc6_2.36-9_amd64.deb"
echo old >"$root/var/cache/apt/archives/libc6_2.35-1_amd64.deb"
echo busy >"$root/var/cache/apt/archives/busybox_1%3a1.35_amd64.deb"
echo ipxe >{tmp_path}/downloads/ipxe_1.0_all.deb
cat >{tmp_path}/downloads/used <<END
Reading package lists...
'http://x/pool/libc6.deb' libc6_2.36-9_amd64.deb 3 MD5Sum:0
'http://x/pool/busybox.deb' busybox_1%3a1.35_amd64.deb 5 MD5Sum:0
END
"""
    tool(tools, "mmdebstrap", script)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "gone_1_amd64.deb").touch()
    versions = unpack_debian(tmp_path / "root", "bookworm", ["deb x"], tmp_path / "downloads", cache)
    assert versions == {"libc6": "2.36-9", "busybox": "1:1.35", "ipxe": "1.0"}
    assert sorted(path.name for path in cache.iterdir()) == [
        "busybox_1%3a1.35_amd64.deb",
        "ipxe_1.0_all.deb",
        "libc6_2.36-9_amd64.deb",
    ]


def test_a_cache_with_a_hostile_name_is_one_word_of_the_shell() -> None:
    script = debian_root._fill_archives(Path("/tmp/a'; touch gone; '"))
    words = subprocess.run(["sh", "-nc", script], check=True, capture_output=True)
    assert words.returncode == 0
    assert """'/tmp/a'"'"'; touch gone; '"'"''""" in script


@pytest.mark.system
@pytest.mark.slow
def test_an_interrupt_ends_the_children_too(tmp_path: Path) -> None:
    """The grandchild writes its number, then sleeps; it must be gone when we are interrupted."""
    number = tmp_path / "number"
    program = (
        "from broadcaster.environment.debian_root import run_in_own_session\n"
        f"run_in_own_session(['sh', '-c', 'sleep 60 & echo $! >{number}.new; mv {number}.new {number}; wait'])"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not number.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    child = Path(f"/proc/{number.read_text().strip()}/stat")
    while time.monotonic() < deadline and child.exists() and ") Z " not in child.read_text():
        time.sleep(0.02)
    assert not child.exists() or ") Z " in child.read_text()


def test_a_command_that_succeeds_has_no_complaint() -> None:
    assert run_in_own_session(["true"]) is None
