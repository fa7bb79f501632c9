import dataclasses

import pytest

from broadcaster.configurations.rendering import MAX_SECRET
from protocol.configuration import HostnameStep, Restart
from protocol.errors import ConfigError
from tests.broadcaster.configurations.written import FACTS, Written


def hostname(written: Written, toml: str, **facts: str) -> str:
    rendered = written.rendered(f"{toml}\n[hostname]\n", dataclasses.replace(FACTS, **facts))  # type: ignore[arg-type]  # only texts here
    (step,) = rendered.configuration.steps
    assert isinstance(step, HostnameStep)
    return step.name


def test_the_hostname_comes_from_the_room_the_seats_or_the_name(written: Written) -> None:
    assert hostname(written, "") == "pc-01"
    assert hostname(written, "", hostname="lab-9") == "lab-9"
    assert hostname(written, '[seats."pc-01"]\nhostname = "own"', hostname="lab-9") == "own"
    with pytest.raises(ConfigError, match="'hostname' is undefined: give the seat a hostname in the room"):
        hostname(written, "", seat="Desk 7")


def test_what_stands_above_the_steps(written: Written) -> None:
    configuration = written.rendered('restart = "stay"').configuration
    assert (configuration.restart, configuration.steps, configuration.beacon) == (Restart.STAY, (), FACTS.beacon)


def test_variables_of_seats_come_before_those_of_all(written: Written) -> None:
    toml = '[variables]\na = 1\nb = true\n[seats."pc-01"]\na = 2\n[seats.other]\na = 3\n[[files]]\npath = "x"\n'
    rendered = written.rendered(f'{toml}template = "t"\n', t="{{ a }} {{ b }} {{ room }} {{ machine }} {{ version }}")
    assert list(rendered.made.values()) == [b"2 True Room 52:54:00:00:00:01 1"]


def test_names_with_a_meaning_are_not_given_another(written: Written) -> None:
    with pytest.raises(ConfigError, match="the variable 'seat' has its meaning already"):
        written.rendered("[variables]\nseat = 1\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [(None, "cannot be read: No such file"), (b"\xff", "is not text"), (b"x" * (MAX_SECRET + 1), "is longer than")],
)
def test_a_secret_that_cannot_be_read_is_told_by_its_file(written: Written, content: bytes | None, line: str) -> None:
    files: dict[str, str | bytes] = {} if content is None else {"key": content}
    with pytest.raises(ConfigError, match=line) as caught:
        written.rendered('[variables]\nkey_file = "key"\n', **files)
    assert "lab.toml: key_file: " in str(caught.value)
