from pathlib import Path

import pytest

from broadcaster.library import disk_server
from broadcaster.library.library import Library


def test_it_says_in_a_line_why_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert disk_server.main([str(tmp_path / "nothing"), "lab", "1", str(tmp_path)]) == 1
    assert "no library at" in capsys.readouterr().out
    Library.open_or_create(tmp_path / "library")
    assert disk_server.main([str(tmp_path / "library"), "lab", "1", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("no image 'lab'")
