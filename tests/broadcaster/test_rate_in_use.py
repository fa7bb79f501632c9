from broadcaster.rate_in_use import MEMORY, SPAN, RateInUse

RATE = 100_000_000


def run(in_use: RateInUse, *, rate: float, seconds: float, start: float = 0.0, sent: int = 0) -> int:
    """Tell of a sender of that rate, ten times a second; returns what it has sent in all."""
    for tick in range(round(seconds * 10) + 1):
        in_use.sent(sent + round(rate / 8 * tick / 10), start + tick / 10)
    return sent + round(rate / 8 * seconds)


def test_before_a_whole_span_all_of_the_rate_may_be_in_use() -> None:
    in_use = RateInUse()
    run(in_use, rate=RATE / 2, seconds=SPAN)
    assert not in_use.is_known
    assert in_use.of(RATE) == RATE


def test_a_sender_that_uses_half_is_known_after_its_second_span() -> None:
    in_use = RateInUse()
    run(in_use, rate=RATE / 2, seconds=3 * SPAN)
    assert in_use.is_known
    assert 0.45 * RATE < in_use.of(RATE) < 0.55 * RATE


def test_nearly_all_is_all() -> None:
    in_use = RateInUse()
    run(in_use, rate=0.9 * RATE, seconds=3 * SPAN)
    assert in_use.of(RATE) == RATE


def test_waiting_before_the_start_does_not_count() -> None:
    in_use = RateInUse()
    sent = run(in_use, rate=0, seconds=10.0)
    sent = run(in_use, rate=RATE / 1000, seconds=2.0, start=10.1, sent=sent)
    run(in_use, rate=RATE, seconds=0.7, start=12.2, sent=sent)
    assert in_use.of(RATE) == RATE


def test_a_gap_in_the_pass_does_not_count_until_it_is_all_there_is() -> None:
    in_use = RateInUse()
    sent = run(in_use, rate=RATE, seconds=5.0)
    run(in_use, rate=RATE / 10, seconds=MEMORY - 2 * SPAN, start=5.1, sent=sent)
    assert in_use.of(RATE) == RATE
    run(in_use, rate=RATE / 10, seconds=MEMORY + 2 * SPAN, start=5.1 + MEMORY, sent=2 * sent)
    assert in_use.of(RATE) < 0.2 * RATE
