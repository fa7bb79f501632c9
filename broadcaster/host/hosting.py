"""What a host keeps of each of its sessions beside the session itself: for whom it is and who ordered it. Pure.

It lies in the state of an open session, from which a restarted host goes on, and beside the report of an ended one,
from which its failed seats are tried again.
"""

from typing import Annotated

import msgspec

from protocol.commands import PlannedSeat
from protocol.fields import Count, ReceiverId, ShortText
from protocol.seat_api import CaptureId


class Hosting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One session, as its operators know it."""

    room: ShortText
    image: ShortText
    version: Count
    seats: tuple[PlannedSeat, ...]
    """that it is for, in the order of the plan"""
    rate_bits_per_second: Count
    """as the operator wants it; 0 for the configured one"""
    wait_seconds: Annotated[float, msgspec.Meta(ge=0)]
    ordered_by: ShortText
    """user name of who planned it, or started it since"""
    opened_at: float
    """seconds since 1970"""
    expected_seats: Count = 0
    """that were to be overwritten when it was started; 0 while it is only planned"""
    comers: dict[ReceiverId, ShortText] = {}
    """machine of each receiver that was ordered into it"""
    released: tuple[ShortText, ...] = ()
    """machines that another session has since taken over"""
    configuration: ShortText = ""
    """name of what is done to each disk once it is verified; empty for nothing"""
    backs_up: bool = False
    """no disk is overwritten before its backup is in the library"""
    backups: dict[ShortText, CaptureId] = {}
    """capture that backs up each machine"""


def encode_hosting(hosting: Hosting) -> bytes:
    """As it is kept."""
    return msgspec.json.encode(hosting)


def decode_hosting(encoded: bytes) -> Hosting | None:
    """What was kept, in bytes of any origin; None where it is none."""
    try:
        return msgspec.json.decode(encoded, type=Hosting)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
