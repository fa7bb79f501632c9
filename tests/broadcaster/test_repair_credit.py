import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.repair_credit import (
    FREE_MEMORY_RATIO,
    MAX_RATIO,
    SPARE_RATIO,
    UNKNOWN_RATIO,
    WORST_OF_ROOM,
    RepairCredit,
)


def share_of_repair(credit: RepairCredit, *, block_length: int, repair_length: int, blocks: int) -> float:
    """The share of all datagrams that repair takes when it always wants more."""
    repair = 0
    for _ in range(blocks):
        while credit:
            credit.spend(repair_length)
            repair += repair_length
        credit.earn(block_length)
    return repair / (repair + blocks * block_length)


def test_without_a_first_pass_there_is_no_credit() -> None:
    assert not RepairCredit()


@pytest.mark.parametrize("loss_ratio", [None, 0.0, 0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("repair_length", [1, 3, 10])
def test_repair_gets_its_share_and_no_more(loss_ratio: float | None, repair_length: int) -> None:
    credit = RepairCredit()
    credit.follow(loss_ratio, 0.0)
    share = share_of_repair(credit, block_length=186, repair_length=repair_length, blocks=2000)
    assert share == pytest.approx(credit.ratio, abs=0.005)


def test_the_share_follows_what_the_room_loses() -> None:
    credit = RepairCredit()
    assert credit.ratio == UNKNOWN_RATIO
    credit.follow(0.0, 0.0)
    assert credit.ratio == SPARE_RATIO
    credit.follow(0.1, 0.0)
    lost = WORST_OF_ROOM * 0.1 / 0.9  # symbols that the worst seat needs for each that is sent
    assert credit.ratio == pytest.approx(lost / (1 + lost) + SPARE_RATIO)
    credit.follow(None, 0.0)
    assert credit.ratio == UNKNOWN_RATIO


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_loss_never_gets_less_and_never_all(one: float, other: float) -> None:
    ratios = []
    for loss_ratio in sorted((one, other)):
        credit = RepairCredit()
        credit.follow(loss_ratio, 0.0)
        ratios.append(credit.ratio)
    assert SPARE_RATIO <= ratios[0] <= ratios[1] <= MAX_RATIO


@pytest.mark.parametrize("loss_ratio", [0.01, 0.05, 0.1, 0.3])
def test_the_share_suffices_for_the_worst_of_the_room(loss_ratio: float) -> None:
    """What a seat with a quarter more loss than the room's needs, each of whose repair symbols may be lost as well."""
    credit = RepairCredit()
    credit.follow(loss_ratio, 0.0)
    needed = WORST_OF_ROOM * loss_ratio / (1 - loss_ratio)
    assert credit.ratio / (1 - credit.ratio) >= needed


def test_quiet_hours_are_worth_one_block() -> None:
    credit = RepairCredit()
    for _ in range(1000):
        credit.earn(186)
    spent = 0
    while credit:
        credit.spend(1)
        spent += 1
    assert spent == 186


def test_what_was_spent_in_advance_is_paid_back() -> None:
    credit = RepairCredit()
    credit.earn(10)
    assert credit
    credit.spend(186)
    assert not credit
    blocks = 0
    while not credit:
        credit.earn(186)
        blocks += 1
    assert blocks == pytest.approx(186 / (186 * UNKNOWN_RATIO / (1 - UNKNOWN_RATIO)), abs=1)


def test_when_the_seats_memory_runs_short_repair_goes_before_new_blocks() -> None:
    credit, ratios = RepairCredit(), []
    for memory_in_repair in (0.0, FREE_MEMORY_RATIO, 0.3, 0.6, 1.0):
        credit.follow(0.0, memory_in_repair)
        ratios.append(credit.ratio)
    assert ratios == pytest.approx([SPARE_RATIO, SPARE_RATIO, SPARE_RATIO + 0.2, SPARE_RATIO + 0.5, MAX_RATIO])
    credit.follow(None, 0.6)
    assert credit.ratio == pytest.approx(UNKNOWN_RATIO + 0.5)
