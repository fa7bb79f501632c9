from receiver.farewell import FAREWELL_LIMIT, LONGEST_FAREWELL, Farewell


def ends_after(is_connected: bool) -> float:
    farewell, began_at = Farewell(), 100.0
    tick = 0
    while not farewell.is_over(began_at + tick / 10, is_connected=is_connected):
        tick += 1
    return tick / 10


def test_it_begins_when_it_is_first_asked() -> None:
    assert not Farewell().is_over(10 * LONGEST_FAREWELL, is_connected=True)
    assert not Farewell().is_over(10 * LONGEST_FAREWELL, is_connected=False)


def test_nobody_acknowledges() -> None:
    assert FAREWELL_LIMIT < ends_after(is_connected=True) < FAREWELL_LIMIT + 0.2


def test_nobody_can_hear_it() -> None:
    assert LONGEST_FAREWELL < ends_after(is_connected=False) < LONGEST_FAREWELL + 0.2


def test_the_time_counts_from_when_it_could_be_heard() -> None:
    farewell = Farewell()
    assert not farewell.is_over(100.0, is_connected=False)
    assert not farewell.is_over(110.0, is_connected=False)
    assert not farewell.is_over(110.0 + FAREWELL_LIMIT, is_connected=True)
    assert farewell.is_over(110.1 + FAREWELL_LIMIT, is_connected=True)


def test_a_broker_that_comes_and_goes_does_not_prolong_it_for_ever() -> None:
    farewell = Farewell()
    assert not any(farewell.is_over(100.0 + tick, is_connected=tick % 10 > 0) for tick in range(31))
    assert farewell.is_over(100.1 + LONGEST_FAREWELL, is_connected=True)
