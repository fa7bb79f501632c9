"""Asks HTTP listeners for anything, as anybody, and tells what came of it."""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

PATIENCE = 10.0
"""[s] Far longer than any answer takes on this machine."""

ENOUGH = 1 << 20
"""[bytes] of an answer; no answer is longer."""


@dataclass(frozen=True)
class Answer:
    status: int
    head: bytes
    body: bytes


def ask(
    port: int,
    method: str,
    path: str,
    *,
    tls: ssl.SSLContext | None = None,
    body: bytes = b"",
    announced: int | None = None,
) -> Answer | None:
    """One request on a connection of its own; None where the connection ends without an answer.

    ``announced`` is what the request says that its body is long, if that is not the truth.
    """
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    if body or announced is not None:
        head += f"Content-Length: {len(body) if announced is None else announced}\r\n"
    heard = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        connection = plain if tls is None else tls.wrap_socket(plain, server_hostname="127.0.0.1")
        with connection, suppress(OSError):  # who says no need not listen to the end
            with suppress(OSError):
                connection.sendall(head.encode() + b"\r\n" + body)
            while len(heard) < ENOUGH and (part := connection.recv(65536)):
                heard += part
    if not heard.startswith(b"HTTP/1."):
        return None
    first, _, rest = heard.partition(b"\r\n\r\n")
    return Answer(int(first.split()[1]), first, rest)
