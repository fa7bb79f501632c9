import pytest

from dashboards.pages.moments import moment_of


def test_times_are_in_utc_unless_they_say_otherwise() -> None:
    assert moment_of("1970-01-01T00:01:00Z") == 60
    assert moment_of("1970-01-01T00:01:00") == 60
    assert moment_of("1970-01-01T01:01:00.500+01:00") == 60.5


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "<b>", "9" * 400])
def test_what_is_no_time(text: str) -> None:
    assert moment_of(text) is None
