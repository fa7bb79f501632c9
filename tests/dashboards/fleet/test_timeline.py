import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.fleet.timeline import MAX_SAMPLES, Timeline
from dashboards.fleet.views import Sample


def sample(at: float, rate: float = 100.0, worst: float = 0.0) -> Sample:
    return Sample(at, rate, 940, 900, 0.0, 0.0, 0.0, worst, 0.5)


def played(seconds: int) -> Timeline:
    timeline = Timeline()
    for second in range(seconds):
        timeline.add(sample(1e9 + second, rate=float(second % 10), worst=float(second % 3600 == 7)), 1.0)
    return timeline


def test_the_last_minutes_are_there_second_by_second() -> None:
    samples = played(3600).samples()
    assert [each.at for each in samples[-600:]] == [1e9 + second for second in range(3000, 3600)]
    assert len(samples) < 1000


@pytest.mark.slow
def test_a_day_is_bounded_and_in_order() -> None:
    timeline = played(24 * 3600)
    samples = timeline.samples()
    assert len(samples) == len(timeline) < MAX_SAMPLES
    assert [each.at for each in samples] == sorted({each.at for each in samples})
    assert samples[0].at < 1e9 + 3600
    old = [each for each in samples if each.at < 1e9 + 12 * 3600]
    assert {round(each.rate_bits_per_second, 3) for each in old[5:-5]} == {4.5}, "the mean of each ten seconds"
    assert sum(each.worst_loss_ratio for each in samples) >= 24, "no peak is averaged away"


def test_what_is_not_later_is_dropped() -> None:
    timeline = Timeline()
    for at in (5.0, 5.0, 4.0, 6.0):
        timeline.add(sample(at), 1.0)
    assert [each.at for each in timeline.samples()] == [5.0, 6.0]


def test_the_oldest_go_when_there_are_too_many() -> None:
    timeline = Timeline()
    for step in range(MAX_SAMPLES + 50):
        timeline.add(sample(1e9 + step * 1000.0), 1.0)
    assert len(timeline) == MAX_SAMPLES
    assert timeline.samples()[-1].at == 1e9 + (MAX_SAMPLES + 49) * 1000.0


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_samples_are_in_order_whatever_comes(times: list[float]) -> None:
    timeline = Timeline()
    for at in times:
        timeline.add(sample(at), 1.0)
    found = [each.at for each in timeline.samples()]
    assert found == sorted(set(found))
