from broadcaster.guess_limits import (
    ADDRESS_EXCHANGE_RECOVERY,
    ADDRESS_RECOVERY,
    EXCHANGES,
    EXCHANGES_PER_ADDRESS,
    GUESS_RECOVERY,
    GUESSES,
    GUESSES_PER_ADDRESS,
    MAX_ADDRESSES,
    RESERVED_GUESSES,
    GuessLimits,
)

HOUR = 3600.0


def guess(limits: GuessLimits, address: str, now: float, *, is_own: bool = False) -> bool:
    """One wrong token; whether it was looked at."""
    if not limits.may_guess(address, now, is_own=is_own):
        return False
    limits.wrong(address, now)
    return True


def test_a_guess_is_tried_a_thousand_times_and_looked_at_ten_times_an_hour() -> None:
    limits = GuessLimits()
    tried = [guess(limits, "10.0.0.66", number * HOUR / 1000) for number in range(1000)]
    assert sum(tried) == GUESSES_PER_ADDRESS + HOUR // ADDRESS_RECOVERY - 1


def test_whatever_addresses_it_comes_from_the_rate_in_all_is_bounded() -> None:
    limits = GuessLimits()
    tried = [guess(limits, f"fe80::{number:x}", number * HOUR / 1000) for number in range(1000)]
    assert sum(tried) <= GUESSES + HOUR / GUESS_RECOVERY


def test_the_arithmetic_of_the_docstring() -> None:
    in_an_hour = GUESSES + HOUR / GUESS_RECOVERY
    in_a_day = GUESSES + 24 * HOUR / GUESS_RECOVERY
    assert (in_an_hour, in_a_day) == (84, 1464)
    assert in_an_hour / 2**44 < 5e-12
    assert (GUESSES + 365 * 24 * HOUR / GUESS_RECOVERY) / 2**44 < 3e-8 * 1.01
    assert 0.008 < in_an_hour / 10**4 < 0.009
    assert (GUESSES_PER_ADDRESS + HOUR / ADDRESS_RECOVERY) / 10**4 == 0.001


def test_one_guesser_does_not_lock_others_out() -> None:
    limits = GuessLimits()
    for second in range(1000):
        guess(limits, "10.0.0.66", float(second))
        assert limits.may_guess(f"10.0.1.{second % 250}", float(second))


def test_fourteen_addresses_at_once_leave_a_fresh_one_its_try() -> None:
    limits = GuessLimits()
    for _ in range(GUESSES):
        for number in range(14):
            guess(limits, f"10.0.0.{number}", 0.0)
    assert limits.may_guess("10.0.1.1", 0.0)


def test_when_all_tries_are_used_up_one_comes_back_each_minute() -> None:
    limits = GuessLimits()
    for number in range(100):
        guess(limits, f"10.0.0.{number}", 0.0)
    assert not limits.may_guess("10.0.1.1", GUESS_RECOVERY - 1)
    assert limits.may_guess("10.0.1.1", GUESS_RECOVERY)
    assert not limits.may_guess("10.0.0.1", GUESS_RECOVERY)
    assert limits.may_guess("10.0.0.1", GUESS_RECOVERY * (RESERVED_GUESSES + 1))


def test_our_own_address_is_bounded_in_all_only() -> None:
    limits = GuessLimits()
    tried = [guess(limits, "10.0.0.1", 0.0, is_own=True) for _ in range(100)]
    assert sum(tried) == GUESSES


def test_a_room_may_begin_at_once_and_a_flood_may_not() -> None:
    limits = GuessLimits()
    assert all(limits.begin(f"10.0.{number}.1", 0.0) for number in range(120))
    assert sum(limits.begin("10.1.0.1", 0.0) for _ in range(100)) == EXCHANGES_PER_ADDRESS
    assert limits.begin("10.1.0.1", ADDRESS_EXCHANGE_RECOVERY)
    begun = sum(limits.begin(f"fe80::{number:x}", 4.0) for number in range(1000))
    assert begun == EXCHANGES - 120 - EXCHANGES_PER_ADDRESS - 1 + 16  # 4 s have given 16 back


def test_a_demonstration_begins_from_one_address() -> None:
    limits = GuessLimits()
    assert all(limits.begin("127.0.0.1", 0.0, is_own=True) for _ in range(60))


def test_invented_addresses_cost_bounded_memory() -> None:
    limits = GuessLimits()
    for number in range(3 * MAX_ADDRESSES):
        limits.begin(f"fe80::{number:x}", float(number))
        limits.wrong(f"fe80::{number:x}", float(number))
    assert limits.addresses == 2 * MAX_ADDRESSES


def test_time_that_stands_still_or_goes_back_gives_nothing() -> None:
    limits = GuessLimits()
    for number in range(GUESSES):
        limits.wrong(f"10.0.0.{number}", 100.0)
    assert not limits.may_guess("10.0.1.1", 100.0)
    assert not limits.may_guess("10.0.1.1", 0.0)
