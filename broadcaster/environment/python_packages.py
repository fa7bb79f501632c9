"""The slatecast that runs here, with what its base needs, laid into an environment: the same versions, nothing more.

Where this Python is of the environment's version the installed files are copied, so no index is asked and nothing can
differ; else pip fetches the same versions for the other Python. Sources are compiled and then left out: a seat starts
faster and has more memory for the image.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from broadcaster.environment.chroot import run_inside
from protocol.disk.system_tools import last_line
from protocol.errors import LibraryError, TransportError

OWN: Final = ("protocol", "broadcaster", "receiver", "slatecast")
"""Our packages that a seat can come to; what operators look at stays on their machines."""

PLACE: Final = "usr/lib/python3/dist-packages"
PLATFORMS: Final = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
"""Wheels that Debian 12 and later can run, by the C library they need."""

START_SCRIPT: Final = "#!/usr/bin/python3\nfrom slatecast.__main__ import main\n\nmain()\n"
_UNUSED: Final = shutil.ignore_patterns("__pycache__", "*.pyi", "*.c", "*.h", "*.pyx", "*.pxd", "tests", "test")


def required() -> dict[str, importlib.metadata.Distribution]:
    """What our base needs, directly or not, as it is installed beside us, by normal name.

    Raises:
        LibraryError: something of it is not installed.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = ["slatecast"]
    while waiting:
        name = waiting.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise LibraryError(f"{name} is not installed beside slatecast: install slatecast again") from None
        for line in _own_requirements() if name == "slatecast" else distribution.requires or ():
            requirement = Requirement(line)
            environment = {**{key: str(value) for key, value in default_environment().items()}, "extra": ""}
            needed = canonicalize_name(requirement.name)
            if needed not in found and (requirement.marker is None or requirement.marker.evaluate(environment)):
                found[needed] = importlib.metadata.distribution(needed)
                waiting.append(needed)
    return found


def _own_requirements() -> list[str]:
    """Of a checkout what its project file says, since what was installed from it may be older."""
    project = Path(next(iter(import_module("slatecast").__path__))).parent / "pyproject.toml"
    if project.is_file():
        return list(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"])
    return importlib.metadata.distribution("slatecast").requires or []


def add_python(root: Path) -> dict[str, str]:
    """Lay ourselves and what we need into ``root`` and compile it; versions by name.

    Raises:
        LibraryError: something is missing here, or does not run there.
        TransportError: the package index does not answer.
    """
    place = root / PLACE
    place.mkdir(parents=True, exist_ok=True)
    distributions = required()
    version = python_version(root)
    others = [each for each in distributions.values() if not (version == _own_version() and _copy(each, place))]
    if others:
        _fetch(others, version, place)
    for name in OWN:
        package = import_module(name)
        shutil.copytree(next(iter(package.__path__)), place / name, ignore=_UNUSED, dirs_exist_ok=True)
    own = importlib.metadata.distribution("slatecast")
    metadata = place / f"slatecast-{own.version}.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: slatecast\nVersion: {own.version}\n")
    start = root / "usr/bin/slatecast"
    start.write_text(START_SCRIPT, encoding="utf-8")
    start.chmod(0o755)
    return {name: each.version for name, each in sorted(distributions.items())}


def compile_all(root: Path) -> None:
    """Replace every module's source below ``root`` by what Python makes of it.

    Raises:
        LibraryError: Python does not run there.
    """
    folders = [f"/{path.relative_to(root)}" for path in sorted((root / "usr/lib").glob("python3*"))]
    # Not by the sources' times, which the archive changes, and not checked, since nothing there changes.
    run_inside(root, "python3", "-m", "compileall", "-q", "-b", "--invalidation-mode", "unchecked-hash", *folders)
    for path in sorted((root / "usr/lib").glob("python3*/**/*.py")):
        if path.with_suffix(".pyc").exists():
            path.unlink()


def python_version(root: Path) -> str:
    """Such as 3.11."""
    found = re.fullmatch(r"python(3\.\d+)", (root / "usr/bin/python3").readlink().name)
    if found is None:
        raise LibraryError("the environment's Python cannot be told")
    return found[1]


def _own_version() -> str:
    is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    is_same_kind = sys.implementation.name == "cpython" and sysconfig.get_platform() == "linux-x86_64"
    return f"{sys.version_info.major}.{sys.version_info.minor}" if is_same_kind and not is_free_threaded else ""


def _copy(distribution: importlib.metadata.Distribution, place: Path) -> bool:
    """Copy what the distribution's record lists as a module or beside one; False when there is no record."""
    copied = False
    for file in distribution.files or ():
        if ".." in file.parts or file.is_absolute() or set(file.parts) & {"__pycache__", "tests"}:
            continue
        if file.suffix in {".pyi", ".c", ".h", ".pyx", ".pxd"} or file.name in {"direct_url.json", "RECORD"}:
            continue
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)
        copied = True
    return copied


def _fetch(distributions: list[importlib.metadata.Distribution], version: str, place: Path) -> None:
    pins = sorted(f"{each.metadata['Name']}=={each.version}" for each in distributions)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(place)]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}"]
    command += list(_options("--abi", f"cp{version.replace('.', '')}", "abi3", "none"))
    done = subprocess.run(
        [*command, *_options("--platform", *PLATFORMS), *pins],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise TransportError(f"no wheels for Python {version}: {last_line(done.stderr)}")
    shutil.rmtree(place / "bin", ignore_errors=True)


def _options(name: str, *values: str) -> Iterator[str]:
    return (f"{name}={value}" for value in values)
