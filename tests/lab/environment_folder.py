"""The environment that PCs boot, built once from the sources as they are and shared by all tests that boot it.

A build takes half a minute and is kept, under a name made of everything of ours that is in it; a change makes a new
one, and old ones are removed. Packages are kept too, so that a second build downloads little. Nothing secret is inside.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from broadcaster.environment.building import TOOLS, BuildSetting, build_environment
from broadcaster.environment.python_packages import OWN
from tests.attacks.canaries import Canary

QUICK_LEVEL: Final = 3
"""of zstd: a virtual machine on the same computer has no network to spare"""

CANARIES: Final = tuple(
    Canary(name, hashlib.sha256(f"canary {name}".encode()).hexdigest().encode()) for name in ("key", "token")
)
"""Secrets that lie where such are while it is built; a test looks for them in what was built."""

_SUFFIXES: Final = {".py", ".so", ".cfg", ".toml", ""}


def missing_for_environment() -> str | None:
    """Why no environment can be built here, in words for a skipped test, or None when it can."""
    if os.geteuid() != 0:
        return "building an environment takes root: sudo make test"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    packages = {"chroot": "coreutils", "dpkg-deb": "dpkg"}
    return f"apt install {' '.join(packages.get(tool, tool) for tool in missing)}" if missing else None


def environment_folder(cache: Path | None = None) -> Path:
    """The folder of ``slatecast boot build``, built if it is not there yet; to be read, never written to.

    Raises:
        SlatecastError: the build failed.
    """
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "slatecast-lab"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "environment-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests at once: one builds, the other waits for it
        environment = folder / f"environment-{_sources_digest()}"
        if not environment.exists():
            for old in folder.glob("environment-*/"):
                shutil.rmtree(old)
            with _planted(CANARIES[0], CANARIES[1]):
                build_environment(environment, BuildSetting(level=QUICK_LEVEL, cache=folder / "packages"))
    return environment


@contextmanager
def _planted(key: Canary, token: Canary) -> Iterator[None]:
    """A home with keys, and tokens among the settings."""
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        keys = Path(home, ".config/slatecast/keys")
        keys.mkdir(parents=True)
        (keys / "image.key").write_bytes(key.secret)
        patch.setenv("HOME", home)
        patch.setenv("SLATECAST_KEYS", str(keys))
        for name in ("SLATECAST_CAST_TOKEN", "SLATECAST_SERVE_TOKEN", "SLATECAST_CONSOLE_TOKEN"):
            patch.setenv(name, token.secret.decode())
        yield


def _sources_digest() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in _sources():
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for name in OWN:
        package = Path(next(iter(import_module(name).__path__)))
        yield from sorted(
            path
            for path in package.rglob("*")
            if path.is_file() and path.suffix in _SUFFIXES and "__pycache__" not in path.parts
        )
    if (project := package.parent / "pyproject.toml").is_file():
        yield project
