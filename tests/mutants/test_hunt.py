"""The hunt itself: mutants do not rot silently, two of them are caught, and an unchanged copy shows no problem."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Change, Mutant
from tests.mutants.copies import RottenMutantError, check, make_copy
from tests.mutants.hunt import hunt, play

SMOKE = ("block unchecked", "final report not acknowledged")

FEW_SEEDS = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_a_mutant_changes_is_there(mutant: Mutant) -> None:
    check(mutant)
    assert all(change.old != change.new for change in mutant.changes)


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(RottenMutantError, match="holds 'no such text' 0 times"):
        check(Mutant("rotten", "nothing", (Change("protocol/wire.py", "no such text", ""),)))


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOKE)
def test_a_planted_bug_is_found(name: str) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    catch = hunt(mutant, FEW_SEEDS)
    assert catch.seed is not None
    assert name in str(catch)


@pytest.mark.slow
def test_no_problem_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    make_copy(None, tmp_path)
    assert play(tmp_path, FEW_SEEDS) == (None, "")


@pytest.mark.slow
def test_a_copy_that_cannot_be_played_is_no_catch(tmp_path: Path) -> None:
    make_copy(None, tmp_path)
    (tmp_path / "tests/simulator/scenario.py").unlink()
    with pytest.raises(RuntimeError, match="cannot be played"):
        play(tmp_path, 1)
