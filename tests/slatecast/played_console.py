"""A console on a real port, over a played desk whose time flies."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from dashboards.access.policy import AccessPolicy
from protocol.link.tls import TlsIdentity
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.played_desk import PlayedDesk
from tests.end_to_end.room import free_port, wait_until

PACE = 60.0
"""[s] that are played in one"""


class ListeningConsole(PlayedConsole):
    """A played console that says where it is as a real one does."""

    def __init__(self, folder: Path, *, is_secure: bool = False) -> None:
        begun = time.monotonic()
        desk = PlayedDesk(clock=lambda: (time.monotonic() - begun) * PACE)
        super().__init__(folder, desk, AccessPolicy(hosts=frozenset({"127.0.0.1"}), is_secure=is_secure))
        self.state = folder / "state"
        self.port = free_port()
        self.url = f"http{'s' if is_secure else ''}://127.0.0.1:{self.port}/"


@contextmanager
def listening_console(
    folder: Path, identity: TlsIdentity | None = None, authority: bytes = b""
) -> Iterator[ListeningConsole]:
    """The console while the context is open; with an identity it speaks HTTPS."""
    console = ListeningConsole(folder, is_secure=identity is not None)
    config = uvicorn.Config(console.app, host="127.0.0.1", port=console.port, log_level="critical", lifespan="off")
    if identity is not None:
        pem = folder / "identity.pem"
        pem.write_bytes(identity.private_key + identity.certificate)
        config.ssl_certfile = config.ssl_keyfile = str(pem)
    server = uvicorn.Server(config)
    runner = threading.Thread(target=server.run)
    runner.start()
    try:
        wait_until(lambda: server.started, "the console")
        console.access.tokens.write_console_file(console.url, authority.decode())
        yield console
    finally:
        server.should_exit = server.force_exit = True
        runner.join()
