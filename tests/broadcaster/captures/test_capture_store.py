import logging
from pathlib import Path

import pytest

from broadcaster.captures.capture_store import CaptureStore
from protocol.capture import CaptureStep
from protocol.errors import LibraryError
from tests.broadcaster.captures.played import CAPTURE_ID, record


def test_records_are_kept_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures")
    assert store.load() == []
    later, earlier = record(began_at=20.0), record(capture_id="f" * 16, began_at=10.0)
    store.save(later)
    store.save(record(capture_id="f" * 16, began_at=10.0, step=CaptureStep.ASKED))
    store.save(earlier)
    assert store.load() == [earlier, later]
    assert (tmp_path / "captures" / CAPTURE_ID / "state.json").stat().st_mode & 0o777 == 0o600
    store.forget(CAPTURE_ID)
    assert store.load() == [earlier]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000, b"{}"])
def test_chunks_without_a_record_are_removed(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    folder = tmp_path / CAPTURE_ID / "run-1"
    folder.mkdir(parents=True)
    (folder / "chunk").write_bytes(b"chunk")
    if content is not None:
        (tmp_path / CAPTURE_ID / "state.json").write_bytes(content)
    (tmp_path / "something else").mkdir()
    assert CaptureStore(tmp_path).load() == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["something else"]
    assert "no readable state" in caplog.text


def test_the_record_of_another_capture_is_none(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path)
    store.save(record())
    (tmp_path / CAPTURE_ID).rename(tmp_path / ("0" * 16))
    assert store.load() == []


def test_what_cannot_be_written_is_a_library_error(tmp_path: Path) -> None:
    (tmp_path / "captures").write_bytes(b"in the way")
    with pytest.raises(LibraryError):
        CaptureStore(tmp_path / "captures").save(record())
