import pytest

from broadcaster.captures.naming import checked_name
from protocol.errors import ConfigError


def test_a_usual_name_is_taken() -> None:
    assert checked_name("windows-11.2") == "windows-11.2"


@pytest.mark.parametrize("name", ["", "../x", "a b", "a" * 65, "backup-pc", "backup-"])
def test_another_one_is_refused_in_a_line(name: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be|those of backups"):
        checked_name(name)
