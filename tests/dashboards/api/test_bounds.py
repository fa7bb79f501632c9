"""What requests may hold."""

import pytest
from pydantic import TypeAdapter, ValidationError

from dashboards.api.bounds import Body, OptionalText, RoleWord, Text
from dashboards.user import Role


@pytest.mark.parametrize("text", ["a", "Raum Ö 1", "<b>", "x" * 64, "日本"])
def test_texts(text: str) -> None:
    assert TypeAdapter(Text).validate_python(text) == text


@pytest.mark.parametrize(
    "text", ["", "x" * 65, "a\n", "a\0", "\x1b[2J", "\u202e", "\u200b", "\u2028", "\x85", "\ud800"]
)
def test_bad_texts(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(text)


def test_optional_text() -> None:
    assert TypeAdapter(OptionalText).validate_python("") == ""
    with pytest.raises(ValidationError):
        TypeAdapter(OptionalText).validate_python("\0")


def test_every_role_has_its_word() -> None:
    assert [RoleWord.of(role).role for role in Role] == list(Role)


def test_unknown_fields_are_refused() -> None:
    class Example(Body):
        a: int = 0

    with pytest.raises(ValidationError):
        Example.model_validate({"b": 1})
