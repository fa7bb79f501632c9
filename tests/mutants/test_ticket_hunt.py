"""The judging of tickets is what stands between a network and a disk: its tests must find every bug planted in it."""

import subprocess
import sys

import pytest

from tests.mutants.copies import ROOT, check
from tests.mutants.ticket_catalogue import MUTANTS


def test_the_catalogue_is_not_rotten() -> None:
    for mutant in MUTANTS:
        check(mutant)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40


@pytest.mark.slow
def test_every_bug_in_the_judging_of_tickets_is_found_by_its_unit_tests() -> None:
    hunt = subprocess.run(
        [sys.executable, "-m", "tests.mutants.ticket_hunt"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert hunt.returncode == 0, hunt.stdout + hunt.stderr
    assert f"{len(MUTANTS)} of {len(MUTANTS)} found" in hunt.stdout
