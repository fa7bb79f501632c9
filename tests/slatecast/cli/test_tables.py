import io

import pytest
from rich.console import Console

from slatecast.cli.tables import facts_table, output_console


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output_console().print("word " * 60)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_facts_are_pairs_and_markup_is_text() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(facts_table([("name", "[red]lab[/red]"), ("digest", "a" * 80)]))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].split() == ["name", "[red]lab[/red]"]
    assert "".join(lines[1:]).replace(" ", "") == "digest" + "a" * 80
