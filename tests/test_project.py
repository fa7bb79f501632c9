"""What must hold of the repository as a whole."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]

# Written so that this file does not match itself.
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.|(?:extra-)?index[-_]url|registry\.npmjs|proxy\.golang", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root)(?:/|\b(?![-_]))")

# Modules without a test file of their own: the simulated room or a whole cast exercises them. To be emptied, not grown.
TESTED_IN_CONCERT = {
    Path(name)
    for name in (
        "protocol/pure_seal.py",
        "protocol/link/linux_udp.py",
        "receiver/disk_edges.py",
        "slatecast/cli/progress.py",
    )
}


# What an installation with these extras may import, beside the base.
EXTRAS = {
    "protocol": set[str](),
    "receiver": set[str](),
    "slatecast": set[str](),
    "broadcaster": {"server"},
    "dashboards": {"console"},
}

# These modules write files that are committed; whoever runs the console does not import them.
GENERATORS = ("dashboards/grafana/", "dashboards/prometheus/rules.py")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    return [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in sorted((ROOT / package.replace(".", "/")).glob("*.py"))
        if path.name != "__init__.py"
    ]


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH], ids=["registry", "machine path"])
def test_no_tracked_file_depends_on_one_place(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in tracked_files()
        if path != Path("tests/test_project.py")
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        (REGISTRY, "--index-url=x", True),
        (REGISTRY, "the index of a url", False),
        (MACHINE_PATH, "cd /" + "work/main", True),
        (MACHINE_PATH, "'/root'", True),
        (MACHINE_PATH, "disk/root /rooted /workshop ${HOME}/work", False),
    ],
)
def test_patterns_find_what_they_should(pattern: re.Pattern[str], text: str, is_found: bool) -> None:
    assert bool(pattern.search(text)) == is_found


@pytest.mark.parametrize("module", sorted(set(modules()) - TESTED_IN_CONCERT), ids=str)
def test_module_has_its_test_file(module: Path) -> None:
    assert (ROOT / _test_file(module)).is_file(), f"{_test_file(module)} is missing"


def test_exceptions_are_modules() -> None:
    assert set(modules()) >= TESTED_IN_CONCERT


def _test_file(module: Path) -> Path:
    return Path("tests", module.parent, f"test_{module.stem.strip('_')}.py")


def test_every_package_is_installed() -> None:
    folders = {package.partition(".")[0] for package in PACKAGES}
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for folder in folders
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(PACKAGES) == there
    assert set(PROJECT["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) >= folders


def test_every_requirement_is_pinned() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    extras = PROJECT["project"]["optional-dependencies"].values()
    required = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    assert {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in required} <= names
    assert "slatecast" not in names


@pytest.mark.parametrize("package", EXTRAS)
def test_every_direct_import_is_named_as_a_requirement(package: str) -> None:
    required = requirements({"base", *EXTRAS[package]})
    distributions = importlib.metadata.packages_distributions()
    for module in (path for path in modules() if path.parts[0] == package):
        allowed = required | requirements({"dev"} if is_generator(module) else set())
        for name in foreign_imports((ROOT / module).read_text(encoding="utf-8")):
            names = {normal(each) for each in distributions.get(name, [name])}
            assert names & allowed, f"{module} imports {name}, which no requirement of {package} names"


def test_foreign_imports_are_seen() -> None:
    source = (
        "import os, yarl.x\nimport protocol\ndef f():\n    from starlette.types import Send\n    from . import here\n"
    )
    assert foreign_imports(source) == {"yarl", "starlette"}


def test_no_generator_is_imported_by_who_runs_the_console() -> None:
    generators = {".".join(module.with_suffix("").parts) for module in modules() if is_generator(module)}
    assert generators
    for module in (path for path in modules() if not is_generator(path)):
        assert not generators & imported_names((ROOT / module).read_text(encoding="utf-8")), module


def is_generator(module: Path) -> bool:
    return module.as_posix().startswith(GENERATORS)


def requirements(extras: set[str]) -> set[str]:
    """Names of the distributions that are required directly; ``base`` is what every installation has."""
    optional = PROJECT["project"]["optional-dependencies"] | {"base": PROJECT["project"]["dependencies"]}
    return {normal(re.split(r"[<>=!~\[; ]", line)[0]) for extra in extras for line in optional[extra]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def foreign_imports(source: str) -> set[str]:
    """Top names of what is neither of this repository nor of Python's own library, wherever it is imported."""
    own = {package.partition(".")[0] for package in PACKAGES}
    return {name.partition(".")[0] for name in imported_names(source)} - own - sys.stdlib_module_names


def imported_names(source: str) -> set[str]:
    """Full names of the modules, and of what is taken from them."""
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize(
    "path",
    ["README.md", "CHANGELOG.md", "docs/protocol.md", "docs/decisions.md", ".ci/run", "Makefile", "constraints.txt"],
)
def test_file_is_there_and_says_something(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8").strip()


def test_continuous_integration_runs_make_test() -> None:
    run = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "exec make test" in run
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
