import pytest

from slatecast.cli.words import bytes_in_words, rate_in_words, seconds_in_words


@pytest.mark.parametrize(("count", "words"), [(0, "0 bytes"), (999.9, "999 bytes"), (1.5e9, "1.5 GB")])
def test_bytes(count: float, words: str) -> None:
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(
    ("bits_per_second", "words"),
    [
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (999.9, "1 kbit/s"),
        (943_400_000, "943 Mbit/s"),
        (999_400_000, "999 Mbit/s"),
        (999_600_000, "1 Gbit/s"),
        (25e9, "25 Gbit/s"),
    ],
)
def test_rate(bits_per_second: float, words: str) -> None:
    assert rate_in_words(bits_per_second) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_seconds(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words
