"""The whole protocol under virtual time: the seeds of ``--seeds`` rooms, each with faults of its own."""

import pytest

from protocol.messages import ReceiverState
from tests.simulator.scenario import cost_of_lies, run_seed

SEEDS_PER_TEST = 10

TWICE = 20
"""One room of so many is played twice."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first_seed" in metafunc.fixturenames:
        first, count = metafunc.config.getoption("first_seed"), metafunc.config.getoption("seeds")
        metafunc.parametrize("first_seed", range(first, first + count, SEEDS_PER_TEST))


@pytest.mark.slow
def test_every_live_seat_gets_the_image(first_seed: int) -> None:
    outcomes = [run_seed(seed) for seed in range(first_seed, first_seed + SEEDS_PER_TEST)]
    failures = [f"--first-seed {each.seed} --seeds 1: {each.problems}" for each in outcomes if each.problems]
    assert not failures, "\n".join(failures)
    again = [each for each in outcomes if each.seed % TWICE == 0]
    assert [run_seed(each.seed).trace for each in again] == [each.trace for each in again], "a seed does not replay"


@pytest.mark.slow
def test_rooms_end_in_every_way() -> None:
    states = {state for seed in range(60) for state in run_seed(seed).states.values()}
    assert states >= {ReceiverState.VERIFIED, ReceiverState.FAILED, ReceiverState.DAMAGED}


@pytest.mark.slow
def test_with_an_operator_nothing_is_written_that_was_not_started_and_all_else_is_as_ever() -> None:
    """Plans are started late, or dropped; sessions rest; seats are stopped and moved, while all faults go on."""
    outcomes = [run_seed(seed, has_operator=True) for seed in range(60)]
    failures = [f"seed {each.seed}: {each.problems}" for each in outcomes if each.problems]
    assert not failures, "\n".join(failures)
    states = {state for each in outcomes for state in each.states.values()}
    assert states >= {ReceiverState.VERIFIED, ReceiverState.PLANNED, ReceiverState.REFUSED}
    assert run_seed(3, has_operator=True).trace == outcomes[3].trace, "a seed does not replay"


@pytest.mark.slow
def test_rooms_differ() -> None:
    assert run_seed(7).trace != run_seed(8).trace


@pytest.mark.slow
def test_an_insider_who_lies_about_one_block_in_a_hundred_costs_little() -> None:
    """Played with ten in a hundred, since the blocks of a room are few; a block's symbols are a tenth as many, too."""
    costs = [cost for seed in range(200) if (cost := cost_of_lies(seed, ratio=0.1)) is not None]
    assert not [cost.outcome for cost in costs if cost.outcome.problems]
    states = {state for cost in costs for state in cost.outcome.states.values()}
    lied_about = sum(cost.blocks_lied_about for cost in costs) / sum(cost.blocks for cost in costs)
    extra = sum(cost.extra_bytes for cost in costs) / sum(cost.needed_bytes for cost in costs)
    mismatches = sum(cost.mismatches for cost in costs)
    print(f"{len(costs)} rooms, {lied_about:.1%} of the blocks lied about, {mismatches} came wrong, {extra:.2%} extra")
    assert states == {ReceiverState.VERIFIED}
    assert mismatches >= 15, "nobody believed the insider"
    assert extra * 0.01 / lied_about <= 0.03
