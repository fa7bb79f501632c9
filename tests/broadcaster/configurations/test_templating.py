from pathlib import Path

import pytest

from broadcaster.configurations.templating import MAX_RENDERED, Templates
from protocol.errors import ConfigError

SECRET = "tuna-secret"


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    (tmp_path / "a.xml").write_text("<a>{{ name }}</a>\n")
    (tmp_path / "a.conf").write_text("a={{ name }}\n")
    (tmp_path / "broken.j2").write_text("one\n{% if %}\n")
    (tmp_path.parent / "outside.j2").write_text("outside")
    return Templates(tmp_path, {"name": "x<y", "number": 3, "password": SECRET}, "pc-01")


def test_values_and_files_are_filled_in(templates: Templates) -> None:
    assert templates.text("{{ name | upper }}-{{ number + 1 }}", "key") == "X<Y-4"
    assert templates.file("a.conf", "key") == b"a=x<y\n"


def test_xml_is_escaped(templates: Templates) -> None:
    assert templates.file("a.xml", "key") == b"<a>x&lt;y</a>\n"


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{{ unknown }}", "key, for seat 'pc-01': 'unknown' is undefined"),
        ("{{ hostname }}", "give the seat a hostname"),
        ("{{ name.missing }}", "has no attribute 'missing'"),
        ("{{ name ", "line 1: unexpected end of template"),
        ("{{ 1 / 0 }}", "ZeroDivisionError while it is filled in"),
        ("{{ password | int(default=none) + 1 }}", "TypeError"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% include 'none' %}", "there is no file 'none' beside it"),
        ("{% include '../outside.j2' %}", "there is no file"),
        ("{% for a in range(1000000) %}x{% endfor %}", "OverflowError"),
        ("{{ 'x' * 5000000 }}", "makes 5000000 bytes, more than"),
    ],
)
def test_what_is_wrong_is_one_line_without_secrets(templates: Templates, template: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        templates.text(template, "key")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_a_file_that_is_broken_or_not_there(templates: Templates) -> None:
    with pytest.raises(ConfigError, match=r"broken\.j2, line 2"):
        templates.file("broken.j2", "key")
    with pytest.raises(ConfigError, match=r"there is no file 'none\.j2' beside it"):
        templates.file("none.j2", "key")
    assert MAX_RENDERED < 5_000_000
