"""Tells systemd how the service does, where systemd has started it with Type=notify; see sd_notify(3)."""

import contextlib
import os
import socket


def notify(*states: str) -> None:
    """Send states such as ``READY=1``; nothing happens where nobody has asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.connect("\0" + address[1:] if address[0] == "@" else address)
        sending.send("\n".join(states).encode())
