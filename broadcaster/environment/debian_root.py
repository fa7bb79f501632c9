"""A folder with Debian packages unpacked, by mmdebstrap: verified by the archive's signatures, none of them run.

Nothing is configured, so no maintainer script of another system runs here and nothing is mounted; what scripts would
have made (users, the linker's cache, the modules' index) is made by ``finishing``. The packages' files can be kept in
a cache between two builds; apt checks them against the signed index before it takes them.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broadcaster.environment.recipe import CONSOLE_FONTS, FIRMWARE, LOADERS, PACKAGES
from protocol.disk.system_tools import find_tool, last_line, need_tool, run_tool, tool_environment
from protocol.errors import ConfigError, TransportError

COMPONENTS: Final = "main non-free-firmware"
MERGED_USR: Final = "/usr/share/mmdebstrap/hooks/merged-usr"
_SUITE: Final = re.compile(r"[a-z]{3,20}\Z")
_MIRROR: Final = re.compile(r"(https?://|file:/)[\w.:/~@%+-]+\Z")
_DEB_NAME: Final = re.compile(r"(?P<name>[a-z0-9.+-]+)_(?P<version>[^_]+)_[a-z0-9]+\.deb\Z")


def apt_sources(suite: str, mirrors: Sequence[str]) -> list[str]:
    """Lines for apt: of the mirrors that are given, else those this machine uses for the same release.

    None where this machine has no such release: mmdebstrap then takes Debian's own, updates and security included.

    Raises:
        ConfigError: no release, or no address of a mirror.
    """
    if not _SUITE.match(suite):
        raise ConfigError(f"{suite!r} is no release of Debian: give its name, such as bookworm")
    for mirror in mirrors:
        if not _MIRROR.match(mirror):
            raise ConfigError(f"{mirror!r} is no address of a mirror: give one such as http://HOST/debian")
    if not mirrors:
        return _sources_here(suite)
    lines = []
    for mirror in mirrors:
        if mirror.rstrip("/").endswith("-security"):
            lines.append(f"deb {mirror} {suite}-security {COMPONENTS}")
        else:
            lines += [f"deb {mirror} {suite} {COMPONENTS}", f"deb {mirror} {suite}-updates {COMPONENTS}"]
    return lines


def _sources_here(suite: str) -> list[str]:
    """Where this machine's apt has that release from; what others publish beside it is not taken."""
    apt_get = find_tool("apt-get")
    if apt_get is None:
        return []
    listed = run_tool(apt_get, "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    found = {tuple(line.split()) for line in listed.stdout.splitlines()}
    pairs = sorted(pair for pair in found if len(pair) == 2 and pair[1] in wanted and _MIRROR.match(pair[0]))
    return [f"deb {uri} {release} {COMPONENTS}" for uri, release in pairs]


def unpack_debian(
    root: Path, suite: str, sources: Sequence[str], downloads: Path, cache: Path | None
) -> dict[str, str]:
    """Make ``root`` with the recipe's packages unpacked; the versions of all of them, by name.

    Single files are taken from packages that lie in ``downloads`` afterwards: loaders, and the large font.

    Raises:
        LibraryError: mmdebstrap is not installed.
        TransportError: the mirror does not answer or does not have what is needed.
    """
    mmdebstrap = need_tool("mmdebstrap")
    include = [*PACKAGES, *(f"?exact-name({name})" for name in FIRMWARE)]
    command = [mmdebstrap, "--variant=extract", "--mode=root", "--format=directory", "--architectures=amd64"]
    command.append(f"--components={COMPONENTS.replace(' ', ',')}")
    command += [f"--include={','.join(include)}", f"--hook-dir={MERGED_USR}"]
    command += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
    command += ['--aptopt=Acquire::Retries "2"', "--skip=cleanup/apt/cache,chroot/mount"]
    downloads.mkdir()
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        command.append(f"--setup-hook={_fill_archives(cache)}")
    command.append(f"--extract-hook={_list_and_download(include, downloads)}")
    complaint = run_in_own_session([*command, suite, str(root), *sources])
    if complaint is not None:
        raise TransportError(f"no Debian {suite} from its mirror: {complaint}")
    archives = root / "var/cache/apt/archives"
    used = re.findall(r"^'\S+' (\S+\.deb) ", (downloads / "used").read_text(encoding="utf-8"), re.M)
    fetched = [*(archives / name for name in used), *downloads.glob("*.deb")]
    if cache is not None:
        _keep(cache, fetched)
    matches = filter(None, (_DEB_NAME.match(path.name) for path in fetched))
    return {match["name"]: match["version"].replace("%3a", ":") for match in matches}


def _fill_archives(cache: Path) -> str:
    """Shell: lay what an earlier build kept where apt looks before it downloads."""
    archives = '"$1"/var/cache/apt/archives/'
    every = f'find {shlex.quote(str(cache.absolute()))} -maxdepth 1 -name "*.deb"'
    return f"mkdir -p {archives} && {every} -exec cp -t {archives} -- {{}} +"


def _list_and_download(include: Sequence[str], downloads: Path) -> str:
    """Shell: write down which files were unpacked, since a cache holds others too, and fetch those only opened here."""
    apt = "APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get"
    single = sorted({package for package, _ in LOADERS.values()} | {CONSOLE_FONTS})
    names = " ".join(shlex.quote(name) for name in include)
    folder = shlex.quote(str(downloads.absolute()))
    return (
        f"cd {folder} && {apt} -y -o Dir::Cache::archives=/nonexistent/ -o Debug::NoLocking=true"
        f" --print-uris install {names} >used && {apt} -o APT::Sandbox::User=root download {' '.join(single)}"
    )


def _keep(cache: Path, fetched: Sequence[Path]) -> None:
    """Leave exactly this build's packages in the cache."""
    names = {path.name for path in fetched}
    for old in cache.glob("*.deb"):
        if old.name not in names:
            old.unlink()
    for path in fetched:
        if not (cache / path.name).exists():
            shutil.copyfile(path, cache / path.name)


def run_in_own_session(command: Sequence[str]) -> str | None:
    """Run a command whose children end with it, whatever ends us; None, or the line that says why it failed."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=tool_environment(),
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        _, said = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode == 0:
        return None
    errors = [line for line in said.splitlines() if line.startswith("E: ")]
    return last_line(errors[0] if errors else said).removeprefix("E: ")
