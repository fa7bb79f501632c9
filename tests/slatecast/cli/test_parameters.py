import os

import click
import pytest

from slatecast.cli.parameters import Rate, keep_from_children


@pytest.mark.parametrize(
    ("text", "bits_per_second"),
    [
        ("900M", 900_000_000),
        ("1.5G", 1_500_000_000),
        ("250000k", 250_000_000),
        ("100000", 100_000),
        (" 2 Gbit/s ", 2_000_000_000),
        ("3mbit", 3_000_000),
        (400_000_000, 400_000_000),
    ],
)
def test_a_rate_is_bits_per_second(text: str | int, bits_per_second: int) -> None:
    assert Rate().convert(text, None, None) == bits_per_second


@pytest.mark.parametrize("text", ["", "fast", "-1M", "1T", "M", "1MB", "1e9", "1.M", "900Mi"])
def test_what_is_no_rate_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a rate: write 900M or 1G"):
        Rate().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "900", "99k"])
def test_a_forgotten_unit_is_told(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is only \d+ bit/s"):
        Rate().convert(text, None, None)


def test_a_secret_option_is_not_inherited_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "given by the environment")
    monkeypatch.setenv("TEST_OTHER", "kept")

    @click.command(context_settings={"auto_envvar_prefix": "TEST"})
    @click.option("--token", callback=keep_from_children)
    @click.option("--other")
    def command(token: str, other: str) -> None:
        assert (token, other) == ("given by the environment", "kept")
        assert "TEST_TOKEN" not in os.environ
        assert os.environ["TEST_OTHER"] == "kept"

    command.main([], standalone_mode=False)
