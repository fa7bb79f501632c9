from pathlib import Path

import pytest

from broadcaster.configurations import shelf as module
from broadcaster.configurations.shelf import NONE, ConfigurationShelf, example_facts
from protocol.configuration import ScriptStep, name_of
from protocol.errors import ConfigError
from tests.broadcaster.configurations.written import Written, hosting
from tests.end_to_end.room import ROOT


def test_which_there_are(written: Written, tmp_path: Path) -> None:
    written.write("", "lab")
    written.write("", "Room 2")
    (written.folder / ".hidden.toml").touch()
    assert written.shelf.names() == ("Room 2", "lab")
    assert ConfigurationShelf(tmp_path / "none").names() == ()


def test_which_one_a_session_takes(written: Written) -> None:
    written.write("", "lab")
    written.write("", "debian")
    assert written.shelf.resolve("lab", "debian") == "lab"
    assert written.shelf.resolve("", "debian") == "debian"
    assert written.shelf.resolve("", "windows") == ""
    assert written.shelf.resolve(NONE, "debian") == ""
    assert written.shelf.resolve("", "../lab") == ""
    for name in ("other", "../lab", "a/b", ".lab", "lab\0"):
        with pytest.raises(ConfigError, match="there is no configuration"):
            written.shelf.resolve(name, "debian")


def test_a_plan_is_checked_for_each_of_its_seats(written: Written) -> None:
    written.write("[hostname]\n", "lab")
    assert written.shelf.check(hosting(configuration="lab")) == "lab"
    assert written.shelf.check(hosting()) == NONE
    written.write('[variables]\n[seats."pc-01"]\nasset = 1\n[hostname]\nname = "a{{ asset }}"\n', "debian")
    with pytest.raises(ConfigError, match="for seat 'Desk 2': 'asset' is undefined"):
        written.shelf.check(hosting())


def test_a_file_is_hashed_again_only_when_it_looks_changed(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    real = module._hashed

    def seen(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(module, "_hashed", seen)
    toml = '[[scripts]]\nsource = "a.sh"\n'
    (first,) = written.rendered(toml, a__sh="one").configuration.steps
    written.shelf.render("lab", example_facts("x")[0])
    assert len(hashed) == 1
    (second,) = written.rendered(toml, a__sh="other").configuration.steps
    assert len(hashed) == 2
    assert isinstance(first, ScriptStep)
    assert isinstance(second, ScriptStep)
    assert first.file.digest != second.file.digest


def test_the_example_of_the_documents_can_be_rendered() -> None:
    shelf = ConfigurationShelf(ROOT / "docs/examples")
    rendered = shelf.render("lab", example_facts("debian", ["pc-07"])[0])
    names = [name_of(step) for step in rendered.configuration.steps]
    assert names == [
        *("grow", "identities", "hostname", "machine-id", "ssh-host-keys", "files", "drivers", "script set-up.sh"),
        *("boot", "beacon"),
    ]
    assert any(b"psk=not-a-real-key\n" in content for content in rendered.made.values())
    assert rendered.configuration.steps[2].name == "teacher.lab.example"  # type: ignore[union-attr]  # the hostname
