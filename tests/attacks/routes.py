"""Every route of slatecast: found in the source, and what whoever asks for it must get.

A listener or a path that is new in the source is in no table here, and the tests that compare the two fail until it
was judged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.catch_up import BlockAddress
from protocol.enrolment import ENROLMENT_PATH, MAX_REQUEST_LENGTH, confirm_path
from tests.attacks import source

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

LISTENING = re.compile(
    r"(?:.*\.)?(?:HttpListener|TlsListener|start_http_server|start_wsgi_server|start_server|start_unix_server"
    r"|create_server|create_unix_server|SockSite|TCPSite|UnixSite|AppRunner|ServerRunner|run_app|\w*HTTPServer"
    r"|\w*TCPServer|make_server|listen)"
)
"""Calls that open a port, or serve on one."""

LISTENERS = {
    ("broadcaster/broker.py", "socket.create_server"): "broker: MQTT, see tests/broadcaster/test_access.py",
    ("broadcaster/broker_process.py", "asyncio.start_server"): "broker without TLS, for tests",
    ("broadcaster/broker_process.py", "TlsListener"): "broker",
    ("broadcaster/catch_up.py", "HttpListener"): "lane",
    ("broadcaster/front_door.py", "HttpListener"): "door",
    ("broadcaster/handshakes.py", "self._listening.listen"): "what TlsListener is made of",
    ("broadcaster/http_listener.py", "TlsListener"): "what HttpListener is made of",
    ("broadcaster/http_listener.py", "web.ServerRunner"): "what HttpListener is made of",
    ("broadcaster/http_listener.py", "web.SockSite"): "HttpListener without TLS, for tests",
    ("broadcaster/netboot/service.py", "HttpListener"): "loaders: see tests/attacks/test_netboot.py",
    ("broadcaster/seat_api/api.py", "HttpListener"): "seats: see tests/attacks/test_seat_api.py",
    ("dashboards/console.py", "socket.create_server"): "console: each route of the application, see tests/dashboards",
    ("dashboards/history/schema.py", "event.listen"): "no port: an event of the database",
    ("protocol/link/metrics_endpoint.py", "start_http_server"): "metrics",
    ("slatecast/serving/check.py", "socket.create_server"): "closed at once: is the port free?",
}
"""Who opens a port, and which listener of the tests below that is."""

_HTTP = re.compile(r"aiohttp(\..*)?|http\..*|prometheus_client|.*\.(HttpListener|ENROLMENT_PATH|BlockAddress)")
_ROUTE_MODULES = (
    "broadcaster/seat_api/routes.py",
    "protocol/capture.py",
    "protocol/catch_up.py",
    "protocol/enrolment.py",
    "protocol/seat_api.py",
)
_ELSEWHERE = ("dashboards/", "slatecast/")
"""The console's paths are taken from its application and attacked in tests/dashboards; slatecast serves none."""
_IS_PATH = re.compile(r"/|\{\w*PATH\w*\}/")

PATHS = {
    "/v{PROTOCOL_VERSION}/enrolment": "door",
    "{ENROLMENT_PATH}/{receiver_id}": "door",
    "{ENROLMENT_PATH}/([0-9a-f]{32})": "door",
    "/v{PROTOCOL_VERSION}/sessions/{self.tsi}/objects/{self.toi}/blocks/{self.sbn}{digests}{query}": "lane",
    "/v{PROTOCOL_VERSION}/sessions/([0-9a-f]{16})/objects/{_NUMBER}/blocks/{_NUMBER}(/symbol-digests)?(?:\\?(.*))?": (
        "lane"
    ),
    "/symbol-digests": "lane",
    "/v{PROTOCOL_VERSION}": "seats",
    "/": "seats",
    "{CAPTURES_PATH}/{id}": "seats",
    "{CAPTURES_PATH}/(?P<id>[0-9a-f]{16})(?:/(?P<what>lacking|chunks|disk|progress|failure))?": "seats",
    "{CAPTURES_PATH}/{self.capture_id}{'/' if self.what else ''}{self.what}": "seats",
    "/boot.ipxe": "loaders",
    "/{name}": "loaders",
}
"""Every text in the modules of HTTP that is a path."""


def listeners_in_source() -> set[tuple[str, str]]:
    return {
        (module, name)
        for module, tree in source.modules().items()
        for name, _call in source.calls(tree)
        if LISTENING.fullmatch(name)
    }


def paths_in_source() -> set[str]:
    return {
        text
        for module, tree in source.modules().items()
        if not module.startswith(_ELSEWHERE)
        if module in _ROUTE_MODULES or any(_HTTP.fullmatch(name) for name in source.imported(tree))
        for text in source.texts(tree)
        if _IS_PATH.match(text)
    }


@dataclass(frozen=True)
class Route:
    listener: str
    """door, lane or metrics"""
    path: str
    answers: int
    """what those who may ask get, by the right method and with a body that is none"""
    method: str
    """the only one that is served"""

    def __str__(self) -> str:
        return f"{self.listener} {self.path}"


def routes(tsi: str, receiver_id: str) -> Iterator[Route]:
    """Every route of a cast, in all its forms, and paths beside them."""
    yield Route("door", ENROLMENT_PATH, 400, "POST")
    yield Route("door", confirm_path(receiver_id), 400, "POST")
    yield Route("metrics", "/metrics", 200, "GET")
    yield Route("metrics", "/favicon.ico", 200, "GET")
    for toi, asks_digests, esis in ((0, False, None), (1, True, None), (1, False, range(1)), (0, True, range(1))):
        yield Route("lane", str(BlockAddress(tsi, toi, 0, esis, asks_digests)), 200, "GET")
    yield Route("lane", str(BlockAddress(tsi, 1, 1 << 20, None)), 404, "GET")
    yield Route("lane", str(BlockAddress("0" * 16, 1, 0, None)), 404, "GET")
    yield Route("lane", str(BlockAddress(tsi, 1, 0, range(2))).replace("count=2", "count=0"), 400, "GET")


STRAY_PATHS = (
    "/",
    "/v1",
    "/v1/",
    f"{ENROLMENT_PATH}/",
    f"{ENROLMENT_PATH}?list=1",
    f"{ENROLMENT_PATH}/{'0' * 31}",
    f"{ENROLMENT_PATH}/{'0' * 32}/",
    f"{ENROLMENT_PATH}/../{ENROLMENT_PATH}",
    "/v1/sessions",
    "/v1/sessions/",
    "/../../../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/?url=http://127.0.0.1:1/",
    "/index.php?node=client&sub=wipe",
    "/.git/config",
)
"""What is no route anywhere; a scraper gets the metrics for any of them."""

BODIES = {"no body": b"", "garbage": bytes(range(256)), "oversized": b"[" * (MAX_REQUEST_LENGTH + 1)}
CREDENTIALS = ("no certificate", "of a foreign authority", "of another receiver")


def expected(route: Route, method: str, credential: str) -> int | None:
    """The status, or None for a handshake that is refused, whatever the body is."""
    if route.listener == "lane" and credential != "of another receiver":
        return None
    if method == "OPTIONS" and route.listener == "metrics":
        return 200
    if method != route.method:
        return 405
    return route.answers
