"""The HTTP endpoint of a role's Prometheus metrics: the library's own server over a registry that the role fills."""

from types import TracebackType
from typing import Final, Self

from prometheus_client import CollectorRegistry, start_http_server

from protocol.errors import TransportError

EVERYWHERE: Final = "0.0.0.0"
"""Every IPv4 address of this machine."""


class MetricsEndpoint:
    """Serves ``registry`` on ``port`` of ``host`` while entered; does nothing when ``port`` is None.

    By default it listens everywhere, since Prometheus is another machine.
    """

    def __init__(self, registry: CollectorRegistry, port: int | None, host: str = EVERYWHERE) -> None:
        self._registry = registry
        self._port = port
        self._host = host

    def __enter__(self) -> Self:
        """Start to serve.

        Raises:
            TransportError: the port is in use or not permitted.
        """
        if self._port is not None:
            try:
                self._server, self._thread = start_http_server(self._port, self._host, self._registry)
            except OSError as error:
                raise TransportError(f"metrics port {self._port}: {error.strerror}; choose another") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        if self._port is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
