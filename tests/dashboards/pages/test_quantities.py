import pytest

from dashboards.pages import quantities


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0, "0 bit/s"),
        (999.4, "999 bit/s"),
        (999_600, "1 Mbit/s"),
        (943e6, "943 Mbit/s"),
        (999.7e6, "1 Gbit/s"),
        (2.5e9, "2.5 Gbit/s"),
        (1e13, "10000 Gbit/s"),
    ],
)
def test_rate(rate: float, words: str) -> None:
    assert quantities.rate_in_words(rate) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),  # noqa: RUF001 - it is meant
        (float("inf"), "–"),  # noqa: RUF001 - it is meant
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (86_400 * 2 + 3600 * 4, "2 d 4 h"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert quantities.duration_in_words(seconds) == words


@pytest.mark.parametrize(("age", "words"), [(None, "never"), (0.4, "just now"), (8, "8 s ago"), (70, "1 min 10 s ago")])
def test_age(age: float | None, words: str) -> None:
    assert quantities.age_in_words(age) == words


@pytest.mark.parametrize(
    ("ratio", "digits", "words"),
    [
        (0, 0, "0 %"),
        (0.29, 0, "29 %"),
        (0.999, 0, "99 %"),
        (0.9999, 1, "99.9 %"),
        (1.0, 0, "100 %"),
        (1.7, 0, "100 %"),
        (-1, 0, "0 %"),
    ],
)
def test_a_share_is_complete_only_when_it_is(ratio: float, digits: int, words: str) -> None:
    assert quantities.share_in_words(ratio, digits) == words


@pytest.mark.parametrize(("ratio", "words"), [(0, "0 %"), (1e-6, "< 0.1 %"), (0.025, "2.5 %"), (0.14, "14 %")])
def test_loss_is_never_shown_as_none(ratio: float, words: str) -> None:
    assert quantities.loss_in_words(ratio) == words


def test_bytes_and_counts() -> None:
    assert quantities.bytes_in_words(1.5e9) == "1.5 GB"
    assert quantities.bytes_in_words(None) == quantities.NOTHING
    assert quantities.count_in_words(1, "seat") == "1 seat"
    assert quantities.count_in_words(1200, "seat") == "1,200 seats"
    assert quantities.count_in_words(2, "needs", "need") == "2 need"
