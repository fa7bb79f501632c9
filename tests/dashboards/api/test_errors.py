"""Errors as problems."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboards.access.access import WrongLoginError
from dashboards.access.limits import TooManyTriesError
from dashboards.access.problems import MEDIA_TYPE
from dashboards.api.errors import MAX_FAULTS, UnknownError, add_error_answers
from protocol.errors import ConfigError, LibraryError, MessageError, RefusedError, SlatecastError, TransportError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RefusedError("no"), 409),
        (LibraryError("no"), 409),
        (ConfigError("no"), 409),
        (UnknownError("no"), 404),
        (MessageError("no"), 422),
        (TransportError("no"), 503),
        (TooManyTriesError("no"), 429),
        (WrongLoginError(), 403),
    ],
)
def test_status(error: SlatecastError, status: int) -> None:
    app = FastAPI()
    add_error_answers(app)

    @app.get("/")
    def fail() -> None:
        raise error

    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.json()["detail"] == str(error)


def test_a_method_that_an_address_does_not_take() -> None:
    app = FastAPI()
    add_error_answers(app)

    @app.get("/")
    def show() -> None:
        raise AssertionError

    answer = TestClient(app).put("/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_malformed_requests_are_told_without_repeating_them() -> None:
    app = FastAPI()
    add_error_answers(app)

    @app.post("/")
    def take(body: list[int]) -> None:
        raise AssertionError

    answer = TestClient(app).post("/", json=["<script>"] * 50)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail.startswith("0: Input should be a valid integer")
    assert detail.endswith(f"and {50 - MAX_FAULTS} more")
    assert "<script>" not in detail
