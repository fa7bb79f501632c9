import fcntl
import os
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from slatecast.serving.folder_lock import held


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    with held(folder, "[console] state"):
        with pytest.raises(ConfigError, match=r"^\[console\] state .* in use by another 'slatecast serve': end that"):
            held(folder, "[console] state").__enter__()
        assert folder.stat().st_mode & 0o777 == 0o700
    with held(folder, "[console] state"):
        assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^\[x\] y .*file: File exists"):
        held(tmp_path / "file", "[x] y").__enter__()


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(9, os.strerror(9))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path, "[x] y"):
        pass
    assert "a second service is not noticed" in caplog.text
