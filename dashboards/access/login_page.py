"""The way in and out: plain forms that work without script, for the first admin as well."""

import hashlib
import hmac
import secrets
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from dashboards.access.access import Access
from dashboards.access.guards import LOGIN_PATH
from dashboards.access.limits import TooManyTriesError
from dashboards.access.names import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD
from dashboards.access.origins import Headers, is_own_origin
from dashboards.access.page_nonce import NONCE_KEY
from dashboards.access.sessions import Login
from protocol.errors import RefusedError, SlatecastError

FORM_LIFETIME: Final = 12 * 3600
"""[s] that a login page may stay open before its form is sent"""

_HOME: Final = "/"
_STALE: Final = "this page was open for too long, or its cookies were refused: try again"
_Field = Annotated[str, Form(max_length=1024)]

_templates: Final = Environment(
    loader=PackageLoader("dashboards.access"), autoescape=select_autoescape(default=True), trim_blocks=True
)


def login_router(access: Access) -> APIRouter:
    """Routes /login, /login/first and /logout."""
    router = APIRouter(include_in_schema=False)
    forms = _Forms(access)

    @router.get(LOGIN_PATH)
    async def show_login(request: Request, next: str = _HOME) -> Response:
        return forms.page(request, next_path=_own_path(next))

    @router.post(LOGIN_PATH)
    async def log_in(
        request: Request,
        name: _Field = "",
        password: _Field = "",
        csrf: _Field = "",
        next: _Field = _HOME,
    ) -> Response:
        next_path = _own_path(next)
        if not forms.is_own(request, csrf):
            return forms.page(request, 403, _STALE, next_path)
        try:
            session_id, _ = await access.log_in(name, password, _address(request))
        except SlatecastError as error:
            return forms.page(request, _status(error), str(error), next_path)
        return forms.logged_in(request, session_id, next_path)

    @router.post("/login/first")
    async def make_first_admin(
        request: Request, word: _Field = "", name: _Field = "", password: _Field = "", csrf: _Field = ""
    ) -> Response:
        if not forms.is_own(request, csrf):
            return forms.page(request, 403, _STALE)
        try:
            session_id, _ = await access.make_first_admin(word, name, password, _address(request))
        except SlatecastError as error:
            return forms.page(request, _status(error), str(error))
        return forms.logged_in(request, session_id, _HOME)

    @router.get("/logout")
    async def ask_to_log_out(request: Request) -> Response:
        login: Login = request.state.login
        return _rendered("logout.html", request, csrf=login.csrf_token, name=login.user.name)

    @router.post("/logout")
    async def log_out(request: Request, csrf: _Field = "") -> Response:
        login: Login | None = getattr(request.state, "login", None)
        if login is None or not access.is_csrf_token(login, csrf):
            return forms.page(request, 403, _STALE)
        access.sessions.end(request.cookies.get(access.policy.session_cookie, ""))
        response = RedirectResponse(LOGIN_PATH, 303)
        response.delete_cookie(
            access.policy.session_cookie, secure=access.policy.is_secure, httponly=True, samesite="strict"
        )
        return response

    return router


class _Forms:
    """The login form, and the proof that who sends it was shown it: a signed word in the form and in a cookie."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._key = secrets.token_bytes(32)

    def page(self, request: Request, status: int = 200, error: str = "", next_path: str = _HOME) -> HTMLResponse:
        # A second tab gets the word of the first, so that both forms stay good.
        known = request.cookies.get(self._access.policy.form_cookie, "")
        csrf = known if self._is_fresh(known) else self._signed(f"{secrets.token_urlsafe(16)}.{self._moment()}")
        response = _rendered(
            "login.html",
            request,
            status=status,
            csrf=csrf,
            error=error,
            next_path=next_path,
            is_first=self._access.first_login.is_open,
            max_name=MAX_NAME,
            min_password=MIN_PASSWORD,
            max_password=MAX_PASSWORD,
        )
        self._set_cookie(response, self._access.policy.form_cookie, csrf)
        return response

    def is_own(self, request: Request, csrf: str) -> bool:
        """Whether the form is one that this browser was shown, by us and not long ago."""
        headers = Headers.of(request.scope["headers"])
        says_origin = "origin" in headers.values or headers.get("sec-fetch-site")
        if says_origin and not is_own_origin(headers, self._access.policy):
            return False
        cookie = request.cookies.get(self._access.policy.form_cookie, "")
        return hmac.compare_digest(cookie.encode("utf-8", "replace"), csrf.encode("utf-8", "replace")) and (
            self._is_fresh(csrf)
        )

    def logged_in(self, request: Request, session_id: str, next_path: str) -> Response:
        # A new id at each login: whoever planted an old one has nothing of it.
        self._access.sessions.end(request.cookies.get(self._access.policy.session_cookie, ""))
        response = RedirectResponse(next_path, 303)
        self._set_cookie(response, self._access.policy.session_cookie, session_id)
        response.delete_cookie(
            self._access.policy.form_cookie, secure=self._access.policy.is_secure, httponly=True, samesite="strict"
        )
        return response

    def _is_fresh(self, csrf: str) -> bool:
        plain = csrf.rpartition(".")[0]
        if not hmac.compare_digest(self._signed(plain).encode("utf-8", "replace"), csrf.encode("utf-8", "replace")):
            return False
        return self._moment() - int(plain.rpartition(".")[2]) <= FORM_LIFETIME

    def _moment(self) -> int:
        return int(self._access.now())

    def _signed(self, plain: str) -> str:
        return f"{plain}.{hmac.new(self._key, plain.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()}"

    def _set_cookie(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, secure=self._access.policy.is_secure, httponly=True, samesite="strict")


def _rendered(template: str, request: Request, *, status: int = 200, **values: object) -> HTMLResponse:
    text = _templates.get_template(template).render(nonce=request.scope.get(NONCE_KEY, ""), **values)
    return HTMLResponse(text, status)


def _own_path(wanted: str) -> str:
    """Where to go after the login: a path of ours, whatever a link says."""
    parts = urlsplit(wanted) if wanted.isprintable() and wanted.isascii() else None
    if parts is None or parts.scheme or parts.netloc or not wanted.startswith("/") or wanted[1:2] in {"/", "\\"}:
        return _HOME
    return wanted


def _status(error: SlatecastError) -> int:
    if isinstance(error, TooManyTriesError):
        return 429
    return 401 if isinstance(error, RefusedError) else 422


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
