"""Names and passwords."""

import pytest

from dashboards.access.names import MAX_NAME, MAX_PASSWORD, judge_name, judge_password
from dashboards.desk_rules import SELF_SERVICE
from protocol.errors import MessageError


@pytest.mark.parametrize("name", ["a", "ada", "a.b-c_9", "0", "a" * MAX_NAME])
def test_good_names(name: str) -> None:
    assert judge_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Ada", "a b", ".a", "-a", "a/b", "a\n", "ä", "a" * (MAX_NAME + 1), "<b>", "a\0", "first login"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(MessageError, match="a name has"):
        judge_name(name)


def test_nobody_is_called_as_seats_that_restore_themselves() -> None:
    with pytest.raises(MessageError, match="choose another name"):
        judge_name(SELF_SERVICE)


def test_two_names_are_a_name_of_the_protocol() -> None:
    assert 2 * MAX_NAME + 1 <= 64


def test_good_password() -> None:
    assert judge_password("ada", "correct horse ö") == "correct horse ö"


@pytest.mark.parametrize(
    "password", ["", "short", "x" * (MAX_PASSWORD + 1), "aaaaaaaaaaaa", "my name is Ada!", "tab\tand more", "\0" * 12]
)
def test_bad_passwords_are_not_repeated(password: str) -> None:
    with pytest.raises(MessageError) as refusal:
        judge_password("ada", password)
    assert not password or password not in str(refusal.value)
