import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.budget import (
    FIRST_QUARANTINE,
    FORGIVEN_AFTER,
    LONGEST_QUARANTINE,
    MAX_ACCOUNTS,
    MAX_WHAT_LENGTH,
    MESSAGE_BURST,
    MESSAGES_PER_SECOND,
    STRIKE_BURST,
    UNPROVED_BURST,
    UNPROVED_PER_SECOND,
    MessageBudget,
)
from tests.sample_messages import receiver_id

ADA, BOB = receiver_id(1), receiver_id(2)


def flood(budget: MessageBudget, begin: float, seconds: float = 1.0, per_second: int = 10_000) -> int:
    """How many of Ada's messages are admitted."""
    return sum(budget.admit(ADA, begin + number / per_second) for number in range(int(seconds * per_second)))


def test_receiver_that_does_its_work_is_always_heard() -> None:
    budget = MessageBudget()
    for tick in range(36_000):  # two hours of 2 reports and 2 x 5 repair requests a second
        for _ in range(2 + 10 if tick % 5 == 0 else 0):
            assert budget.admit(ADA, tick / 5)
    assert (budget.rejected_count, budget.quarantined_count) == (0, 0)


def test_what_waited_while_the_broker_was_away_is_heard() -> None:
    budget = MessageBudget()
    assert all(budget.admit(ADA, 5.0) for _ in range(int(MESSAGE_BURST)))


def test_flood_is_cut_off_counted_and_named() -> None:
    budget = MessageBudget()
    admitted = flood(budget, 100.0)
    assert MESSAGE_BURST <= admitted <= MESSAGE_BURST + MESSAGES_PER_SECOND
    assert budget.rejected_count == 10_000 - admitted
    assert budget.quarantined_count == 1
    assert budget.reason(ADA, 101.0) == "quarantined: 10,000 messages in 1 s"
    flood(budget, 101.0, 2.0)
    assert budget.reason(ADA, 103.0) == "quarantined: 30,000 messages in 3 s"


def test_what_somebody_says_in_its_name_is_bounded_and_not_held_against_a_receiver() -> None:
    budget = MessageBudget()
    looked_at = sum(budget.admit_unproved(ADA, number / 10_000) for number in range(20_000))
    assert looked_at == pytest.approx(UNPROVED_BURST + 2 * UNPROVED_PER_SECOND, abs=2)
    assert budget.rejected_count == 20_000 - looked_at
    assert budget.quarantined_count == 0
    assert budget.reason(ADA, 2.0) is None
    assert budget.admit(ADA, 2.0)
    assert budget.admit_unproved(BOB, 2.0)
    assert budget.admit_unproved(ADA, 2.01)


def test_nothing_is_looked_at_in_the_name_of_one_that_is_quarantined() -> None:
    budget = MessageBudget()
    flood(budget, 0.0)
    assert not budget.admit_unproved(ADA, 2.0)
    assert budget.reason(ADA, 2.0) == "quarantined: 10,001 messages in 2 s"
    assert budget.admit_unproved(ADA, FIRST_QUARANTINE + 1)


def test_others_are_heard_during_a_flood() -> None:
    budget = MessageBudget()
    flood(budget, 0.0)
    assert budget.admit(BOB, 1.0)
    assert budget.reason(BOB, 1.0) is None


def test_quarantine_ends_and_is_longer_each_time() -> None:
    budget = MessageBudget()
    now, lengths = 0.0, []
    for _ in range(6):
        flood(budget, now, 0.1)
        begun = now
        while budget.reason(ADA, now) is not None:
            now += 0.5
        lengths.append(now - begun)
        assert budget.admit(ADA, now)
    assert lengths == pytest.approx([10, 20, 40, 80, 160, 160], abs=1)
    assert (lengths[0], lengths[-1]) == pytest.approx((FIRST_QUARANTINE, LONGEST_QUARANTINE), abs=1)
    now += FORGIVEN_AFTER + 1
    flood(budget, now, 0.1)
    assert budget.reason(ADA, now + FIRST_QUARANTINE + 1) is None


def test_receiver_that_behaves_after_its_quarantine_is_heard() -> None:
    budget = MessageBudget()
    flood(budget, 0.0)
    assert all(budget.admit(ADA, FIRST_QUARANTINE + 1 + number / 12) for number in range(1000))


def test_nonsense_is_forgiven_now_and_then_but_not_in_a_row() -> None:
    budget = MessageBudget()
    for second in range(1000):
        budget.strike(ADA, "asked for blocks that do not exist", float(second))
    assert budget.reason(ADA, 1000.0) is None
    for _ in range(int(STRIKE_BURST)):
        budget.strike(ADA, "asked for blocks that do not exist", 1000.0)
    assert budget.reason(ADA, 1000.0) == "quarantined: 20 times asked for blocks that do not exist"
    assert not budget.admit(ADA, 1000.1)
    assert (budget.rejected_count, budget.quarantined_count) == (1, 1)
    budget.strike(ADA, "more of the same", 1000.2)
    assert budget.quarantined_count == 1
    assert budget.admit(ADA, 1000.0 + FIRST_QUARANTINE)


def test_nonsense_is_quoted_short_and_on_one_line() -> None:
    budget = MessageBudget()
    for _ in range(int(STRIKE_BURST)):
        budget.strike(ADA, "\x1b[31m\r\n\u202e" + "x" * 10_000, 0.0)
    reason = budget.reason(ADA, 0.0)
    assert reason is not None
    assert reason.isprintable()
    assert len(reason) < MAX_WHAT_LENGTH + 40


def test_invented_names_take_bounded_memory_and_forget_no_loud_one() -> None:
    budget = MessageBudget()
    flood(budget, 0.0)
    for number in range(10, 3 * MAX_ACCOUNTS):
        budget.admit(receiver_id(number), 1.0)
        if number % 1000 == 0:
            assert not budget.admit(ADA, 1.0)
    assert len(budget._accounts) == MAX_ACCOUNTS


@given(st.lists(st.tuples(st.sampled_from([ADA, BOB]), st.booleans(), st.floats(0, 1000)), max_size=300))
def test_work_is_bounded_whatever_happens(events: list[tuple[str, bool, float]]) -> None:
    budget = MessageBudget()
    admitted = 0
    for who, is_strike, now in events:  # not even in order of time
        if is_strike:
            budget.strike(who, "nonsense", now)
        else:
            admitted += budget.admit(who, now)
        assert budget.reason(who, now) is None or not budget.admit(who, now)
    assert admitted <= 2 * (MESSAGE_BURST + 1000 * MESSAGES_PER_SECOND)
