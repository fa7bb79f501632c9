"""Leaves of a kernel's modules those that the recipe names and those they depend on, and the firmware these ask for."""

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from broadcaster.environment.chroot import run_inside
from broadcaster.environment.recipe import MODULES
from protocol.errors import LibraryError


def keep_modules(root: Path) -> str:
    """Remove the other modules and firmware from ``root`` and index what stays; the kernel's version.

    Raises:
        LibraryError: there is not exactly one kernel.
    """
    versions = sorted(path.name for path in (root / "usr/lib/modules").iterdir())
    if len(versions) != 1:
        raise LibraryError(f"{len(versions)} kernels were unpacked where there must be one")
    version = versions[0]
    folder = root / "usr/lib/modules" / version
    run_inside(root, "depmod", "-a", version)
    kept = with_dependencies((folder / "modules.dep").read_text(encoding="utf-8"))
    for path in sorted(folder.rglob("*.ko*")):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()
    run_inside(root, "depmod", "-a", version)
    for path in folder.glob("modules.*"):
        # The indices with the ending are what programs read; the kernel's own lists serve depmod only.
        if not path.name.startswith("modules.builtin") and (folder / f"{path.name}.bin").exists():
            path.unlink()
    _keep_firmware(root, version, sorted(kept))
    return version


def with_dependencies(index: str) -> set[str]:
    """Paths of the modules that the recipe means, and of all they need; ``index`` is depmod's modules.dep."""
    needs = {path: rest.split() for path, _, rest in (line.partition(":") for line in index.splitlines())}
    wanted = {path for path in needs if path.startswith(MODULES)}
    return wanted.union(*(needs[path] for path in wanted))


def _keep_firmware(root: Path, version: str, modules: list[str]) -> None:
    folder = root / "usr/lib/firmware"
    if not folder.is_dir():
        return
    paths = [f"/usr/lib/modules/{version}/{module}" for module in modules]
    asked = run_inside(root, "modinfo", "-F", "firmware", *paths).split()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and not any(fnmatchcase(name, pattern) for pattern in asked):
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        shutil.rmtree(folder)
