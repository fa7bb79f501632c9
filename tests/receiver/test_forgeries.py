from receiver.forgeries import FLOOD_PER_SECOND, WARNING_INTERVAL, ForgeryWatch


def test_a_few_forgeries_are_no_flood() -> None:
    watch = ForgeryWatch(0.0)
    for second in range(1, 100):
        assert watch.warning(int(FLOOD_PER_SECOND) * second, float(second)) is None


def test_a_flood_is_told_once_a_minute_with_its_rate() -> None:
    watch = ForgeryWatch(0.0)
    warnings = {second: watch.warning(8_600 * second, float(second)) for second in range(1, 130)}
    told = {second: text for second, text in warnings.items() if text is not None}
    assert list(told) == [1, 1 + WARNING_INTERVAL, 1 + 2 * WARNING_INTERVAL]
    assert all(text.startswith("8,600 forged datagrams a second come to the group") for text in told.values())


def test_the_rate_is_of_a_second_at_least() -> None:
    watch = ForgeryWatch(0.0)
    assert watch.warning(900, 0.01) is None
    assert watch.warning(900, 1.0) is None
    assert watch.warning(3_000, 1.5) is None
    text = watch.warning(5_000, 2.0)
    assert text is not None
    assert text.startswith("4,100 ")


def test_a_flood_that_comes_back_is_told_again() -> None:
    watch = ForgeryWatch(0.0)
    assert watch.warning(5_000, 1.0)
    assert watch.warning(5_000, WARNING_INTERVAL) is None
    assert watch.warning(5_000, 2 * WARNING_INTERVAL) is None
    assert watch.warning(9_000, 2 * WARNING_INTERVAL + 1.0)
