import re
import tomllib
from pathlib import Path

import pytest

from slatecast.serving.config_text import Section, commented_file, sections
from slatecast.serving.settings import Settings, read_settings

OPERATIONS = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")


def test_as_written_it_means_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text(commented_file())
    assert read_settings(file) == Settings()


def test_with_every_comment_taken_away_it_means_them_too(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text(re.sub(r"(?m)^#(?! )", "", commented_file()))
    assert read_settings(file) == Settings()
    keys = {(section, key) for section, table in tomllib.loads(file.read_text()).items() for key in table}
    assert keys == {(key.section, key.name) for section in sections() for key in section.keys}


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.name)
def test_every_key_is_described(section: Section) -> None:
    assert section.description.endswith(".")
    for key in section.keys:
        assert key.description.endswith(".")
        assert "\n" not in key.description
        assert len(key.description) < 118


def test_every_key_is_documented_with_its_default() -> None:
    heading = "### The configuration file of the service\n"
    text = OPERATIONS.partition(heading)[2].partition("\n#")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    documented = {(row[0], row[1].replace("nothing", "")) for row in rows if row[0].startswith("[")}
    assert documented == {
        (f"[{key.section}] {key.name}", _in_words(key.default)) for section in sections() for key in section.keys
    }


def _in_words(default: object) -> str:
    return str(default).lower() if default not in ("", ()) else ""
