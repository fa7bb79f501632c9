"""Boot orders: which machines boot the environment when they start next, until when, and which may choose.

The broadcaster writes the file whole, the netboot part reads it at each question: neither waits for the other, and a
machine that starts is answered while the broadcaster does not run. A file that is damaged, too long or not there holds
no order, so that every machine boots its own disk; damage is told once in the log, not at each question.
"""

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protocol.errors import LibraryError
from protocol.fields import MacAddress, ShortText
from protocol.link.whole_file import replace_whole

ORDERS_FILE: Final = "boot-orders.json"
"""what it is called in the folder of the library, where nobody names another place"""

MAX_MACHINES: Final = 20_000
"""[machines] of one file, all seats that a console manages; bounds what one question may cost"""

MAX_ORDERS_LENGTH: Final = 8 << 20
"""[bytes] of the file: MAX_MACHINES with the longest names; stops a device or an image from being read whole."""

_logger = logging.getLogger(__name__)


class BootMode(StrEnum):
    """What the environment does at the seat, as its kernel is told."""

    RECEIVE = "receive"
    MENU = "menu"
    CAPTURE = "capture"


class BootOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One machine that boots the environment."""

    until: Annotated[float, msgspec.Meta(ge=0)]
    """seconds since 1970; from then on it boots its own disk"""
    seat: ShortText = ""
    """as operators call it; empty: the environment names it after its address"""
    mode: BootMode = BootMode.RECEIVE


class BootOrders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    machines: Annotated[dict[MacAddress, BootOrder], msgspec.Meta(max_length=MAX_MACHINES)] = {}
    """by the address of the interface that boots"""
    menu: Annotated[frozenset[MacAddress], msgspec.Meta(max_length=MAX_MACHINES)] = frozenset()
    """machines whose user may choose to restore them"""
    rooms: Annotated[frozenset[MacAddress], msgspec.Meta(max_length=MAX_MACHINES)] = frozenset()
    """machines that stand in our rooms: without an order they are told at once to boot their own disks"""

    def order_for(self, address: str, now: float) -> BootOrder | None:
        """The order that holds at ``now``, in seconds since 1970."""
        order = self.machines.get(address)
        return order if order is not None and order.until > now else None


_DECODER: Final = msgspec.json.Decoder(BootOrders)


def write_orders(file: Path, orders: BootOrders) -> None:
    """Replace the file as a whole; it names seats, so only its owner may read it.

    Raises:
        LibraryError: the old one had to stay.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(file, msgspec.json.encode(orders, order="deterministic"), 0o600)
    except OSError as error:
        raise LibraryError(f"{file}: {error.strerror or error}; boot orders cannot be given") from None


class OrdersFile:
    """The file as it is now, read again only when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._orders = BootOrders()

    def read(self) -> BootOrders:
        """The orders; none where there is no whole file of them."""
        try:
            with self._file.open("rb") as stream:
                status = os.fstat(stream.fileno())
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                if stamp != self._stamp:
                    self._stamp, self._orders = stamp, self._decoded(stream.read(MAX_ORDERS_LENGTH + 1))
        except FileNotFoundError:
            self._stamp, self._orders = None, BootOrders()
        except OSError as error:
            if self._stamp is not None:
                _logger.warning("%s: %s; until it can be read every machine boots its own disk", self._file, error)
            self._stamp, self._orders = None, BootOrders()
        return self._orders

    def _decoded(self, data: bytes) -> BootOrders:
        try:
            return _DECODER.decode(data)  # what was cut at the bound is not whole
        except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
            _logger.warning(
                "%s holds no boot orders (%s); every machine boots its own disk until the broadcaster writes it anew",
                self._file,
                error,
            )
            return BootOrders()
