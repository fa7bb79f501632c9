"""Copies of the packages with one bug planted; a mutant whose text is not there exactly once is an error."""

import shutil
from pathlib import Path

from tests.mutants.catalogue import Mutant

ROOT = Path(__file__).parents[2]

COPIED = ("protocol", "broadcaster", "receiver", "tests")


class RottenMutantError(Exception):
    """The text that a mutant changes is not in the source, or is there more than once: the catalogue needs a look."""


def check(mutant: Mutant, root: Path = ROOT) -> None:
    """Whether each change of the mutant hits exactly one place. Raises RottenMutantError."""
    for change in mutant.changes:
        count = (root / change.path).read_text().count(change.old)
        if count != 1:
            raise RottenMutantError(f"{mutant.name}: {change.path} holds {change.old!r} {count} times")


def make_copy(mutant: Mutant | None, folder: Path) -> None:
    """Copy the packages into ``folder`` and plant the bug."""
    for package in COPIED:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    if mutant is None:
        return
    check(mutant, folder)
    for change in mutant.changes:
        path = folder / change.path
        path.write_text(path.read_text().replace(change.old, change.new))
