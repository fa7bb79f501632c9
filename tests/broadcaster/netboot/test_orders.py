import logging
import stat
from pathlib import Path

import msgspec
import pytest

from broadcaster.netboot import orders as module
from broadcaster.netboot.orders import BootMode, BootOrder, BootOrders, OrdersFile, write_orders
from protocol.errors import LibraryError

MAC = "52:54:00:12:34:56"
ORDERS = BootOrders(
    machines={MAC: BootOrder(until=100.0, seat="PC-01", mode=BootMode.CAPTURE)}, menu=frozenset({"52:54:00:00:00:01"})
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "made" / "orders.json"
    write_orders(file, ORDERS)
    assert OrdersFile(file).read() == ORDERS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_order_holds_until_its_time() -> None:
    assert ORDERS.order_for(MAC, 99.9) is not None
    assert ORDERS.order_for(MAC, 100.0) is None
    assert ORDERS.order_for("52:54:00:00:00:01", 0.0) is None


def test_a_file_that_changes_is_read_again_and_one_that_goes_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    source = OrdersFile(file)
    assert source.read() == BootOrders()
    write_orders(file, ORDERS)
    assert source.read() == ORDERS
    assert source.read() is source.read()
    write_orders(file, BootOrders())
    assert source.read() == BootOrders()
    file.unlink()
    assert source.read() == BootOrders()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"machines": {"52:54:00:12:34:56\\nboot": {"until": 9e9}}}',
        b'{"machines": {"52:54:00:12:34:56": {"until": "soon"}}}',
        b'{"machines": {"52:54:00:12:34:56": {"until": 9, "mode": "wipe"}}}',
        b'{"unknown": 1}',
        msgspec.json.encode(ORDERS)[:-1],
    ],
)
def test_a_damaged_file_is_no_order_and_said_once(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "orders.json"
    file.write_bytes(data)
    source = OrdersFile(file)
    with caplog.at_level(logging.WARNING):
        assert [source.read() for _ in range(3)] == [BootOrders()] * 3
    assert len(caplog.records) == 1
    assert "every machine boots its own disk" in caplog.text


def test_a_file_that_is_too_long_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "orders.json"
    write_orders(file, ORDERS)
    monkeypatch.setattr(module, "MAX_ORDERS_LENGTH", file.stat().st_size - 2)
    assert OrdersFile(file).read() == BootOrders()


def test_a_folder_in_its_place_is_no_order(tmp_path: Path) -> None:
    assert OrdersFile(tmp_path).read() == BootOrders()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="boot orders cannot be given"):
        write_orders(tmp_path / "file" / "orders.json", ORDERS)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
