"""The guard before every page, route and socket of the console: pure ASGI, so that nothing can be mounted around it.

    Host          one of ours, or 421
    body          at most ``AccessPolicy.max_body`` bytes within BODY_TIME, or 413 or 408
    who           a bearer token (API and metrics) or a session cookie; neither: 401, for pages the way to /login
    whose page    a cookie counts only for requests of our own pages; what changes something needs its token as well
    answer        security headers, and a nonce for the scripts of a page

Behind it ``request.state`` has ``user`` (``User``), ``login`` (None for a token) and ``is_allowed`` (asks again).
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.access import Access
from dashboards.access.headers import page_content_policy, security_headers, strict_content_policy
from dashboards.access.origins import SAFE_METHODS, Headers, is_foreign, is_our_host, is_own_origin
from dashboards.access.page_nonce import NONCE_KEY, put_nonce_on_pages
from dashboards.access.problems import problem
from dashboards.access.sessions import Login
from dashboards.access.sockets import GuardedSocket, close_unopened
from dashboards.user import User

LOGIN_PATH: Final = "/login"
API_PATH: Final = "/api/"
CSRF_HEADER: Final = "x-csrf-token"
SOCKET_PATH: Final = "/_nicegui_ws/"

BODY_TIME: Final = 30.0
"""[s] for a whole body to arrive: 2 MiB at 0.6 Mbit/s; whoever is slower only holds a connection."""

_PUBLIC: Final = frozenset({LOGIN_PATH, "/login/first", "/healthz", "/favicon.ico"})
_CHECK_THEIR_OWN_TOKEN: Final = frozenset({LOGIN_PATH, "/login/first", "/logout"})
"""Forms without script carry it in a field."""

_NICEGUI_PATH: Final = "/_nicegui"
"""What its uploads post to names the page by an id that nobody can guess, and cannot carry our header."""

_STRICT_PATHS: Final = (API_PATH, LOGIN_PATH, "/logout", "/healthz", "/metrics")
_LONGEST_TOKEN: Final = 256


class Guard:
    """ASGI middleware; ``app.add_middleware(Guard, access=access)``, as the last one that is added."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        # The policy that we send stops every inline script without it.
        put_nonce_on_pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one connection."""
        if scope["type"] == "http":
            await self._judge_request(scope, receive, self._with_headers(scope, send))
        elif scope["type"] == "websocket":
            await self._judge_socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _judge_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers.of(scope["headers"])
        if not is_our_host(headers, self._access.policy):
            refusal: Response | None = problem(421, "this console has another name: call it by its own address")
        elif not scope["path"].isprintable():
            refusal = problem(400, "this address holds control characters")
        else:
            refusal = self._refusal(scope, headers)
        if refusal is None and (scope["method"] not in SAFE_METHODS or _has_body(headers)):
            body = await _read_body(headers, receive, self._access.policy.max_body)
            if isinstance(body, Response):
                refusal = body
            else:
                receive = _replayed(body, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        watched = _Departure(receive)
        try:
            await self._app(scope, watched.receive, send)
        except RuntimeError:
            # A browser that goes to another page before this one was answered is no fault; Starlette's middlewares,
            # of which NiceGUI has some, take it for one.
            if not watched.has_left:
                raise

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why the request must not go on; None when it may, and then the scope says who makes it."""
        path, policy = scope["path"], self._access.policy
        is_public = path in _PUBLIC or (policy.is_metrics_open and path in policy.metrics_paths)
        is_safe = scope["method"] in SAFE_METHODS
        takes_tokens = path.startswith(API_PATH) or path in policy.metrics_paths
        authorization = headers.get("authorization")
        if authorization and takes_tokens:
            user = self._bearer(authorization)
            if user is not None:
                _introduce(scope, user, None, lambda: self._bearer(authorization) == user)
            elif not is_public:
                return _unauthorized("this token is not valid: make a new one, or log in")
            return None
        # Pages poll nothing; what a script of theirs asks of the API by itself keeps no login alive.
        is_deed = not is_safe or not path.startswith(API_PATH)
        login = self._access.login_of(_cookies(headers).get(policy.session_cookie, ""), is_deed=is_deed)
        if login is None:
            wants_page = is_safe and not takes_tokens and headers.get("sec-fetch-dest") in {"", "document"}
            return None if is_public else _to_login(scope) if wants_page else _unauthorized("log in, or send a token")
        _introduce(scope, login.user, login, lambda: not login.is_ended)
        return None if is_public and is_safe else self._foreign(path, headers, login, is_safe=is_safe)

    def _foreign(self, path: str, headers: Headers, login: Login, *, is_safe: bool) -> Response | None:
        """Why a request with a cookie may not be what its operator wants."""
        detail = ""
        if path.startswith(SOCKET_PATH):
            detail = "use a websocket here"
        elif is_foreign(headers, self._access.policy, is_page=is_safe and not path.startswith(API_PATH)):
            detail = "this request comes from the page of another site"
        elif is_safe:
            pass
        elif not is_own_origin(headers, self._access.policy):
            detail = "a request with a login's cookie has to come from a page of this console"
        elif path in _CHECK_THEIR_OWN_TOKEN or path.startswith(_NICEGUI_PATH):
            pass
        elif not self._access.is_csrf_token(login, headers.get(CSRF_HEADER)):
            detail = f"the header {CSRF_HEADER} is missing or not of this login: load the page again"
        return problem(403, detail) if detail else None

    async def _judge_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers.of(scope["headers"])
        policy = self._access.policy
        login = self._access.login_of(_cookies(headers).get(policy.session_cookie, ""), is_deed=False)
        is_ours = is_our_host(headers, policy) and "origin" in headers.values and is_own_origin(headers, policy)
        if login is None or not is_ours:
            await close_unopened(receive, send)
            return
        _introduce(scope, login.user, login, lambda: not login.is_ended)
        await GuardedSocket(self._access, login, receive, send).run(self._app, scope)

    def _bearer(self, authorization: str) -> User | None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret or len(secret) > _LONGEST_TOKEN:
            return None
        return self._access.tokens.user_of(secret)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        nonce = secrets.token_urlsafe(16)
        scope[NONCE_KEY] = nonce
        is_strict = scope["path"].startswith(_STRICT_PATHS) or scope["path"].endswith("/report.html")
        content_policy = (strict_content_policy if is_strict else page_content_policy)(nonce)
        added = security_headers(self._access.policy, content_policy)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added:
                    headers[name.decode()] = value.decode()
                headers.setdefault("cache-control", "no-store")
            await send(message)

        return send_with_headers


def current_user(request: HTTPConnection, access: Access) -> User | None:
    """Who has logged in with the session that a request belongs to, as it is now; None when that has ended."""
    login = getattr(request.state, "login", None)
    if not isinstance(login, Login) or login.is_ended or access.sessions.ends_at(login) <= access.now():
        return None
    return login.user


def _introduce(scope: Scope, user: User, login: Login | None, is_allowed: Callable[[], bool]) -> None:
    scope.setdefault("state", {}).update(user=user, login=login, is_allowed=is_allowed)


def _cookies(headers: Headers) -> dict[str, str]:
    # As browsers read them; the parser of the standard library gives up at a strange cookie of another port.
    return cookie_parser(headers.get("cookie"))


def _unauthorized(detail: str) -> Response:
    refusal = problem(401, detail)
    refusal.headers["www-authenticate"] = 'Bearer realm="slatecast"'
    return refusal


def _to_login(scope: Scope) -> Response:
    wanted = b"?".join(filter(None, (scope.get("raw_path") or quote(scope["path"]).encode(), scope["query_string"])))
    return RedirectResponse(f"{LOGIN_PATH}?next={quote(wanted[:1024], safe='')}", 303)


def _has_body(headers: Headers) -> bool:
    return "content-length" in headers.values or "transfer-encoding" in headers.values


async def _read_body(headers: Headers, receive: Receive, limit: int) -> bytes | Response:
    length = headers.get("content-length")
    if length and (not length.isdecimal() or int(length[:20]) > limit):
        return problem(413, f"the body is over {limit} bytes: send less at once")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return problem(400, "the body did not arrive whole")
                body += message.get("body", b"")
                if len(body) > limit:
                    return problem(413, f"the body is over {limit} bytes: send less at once")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return problem(408, f"the body did not arrive within {BODY_TIME:.0f} s")


class _Departure:
    """Notes whether the browser has hung up."""

    def __init__(self, receive: Receive) -> None:
        self.has_left = False
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        self.has_left |= message["type"] == "http.disconnect"
        return message


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def receive_body() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_body
