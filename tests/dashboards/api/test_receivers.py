"""Receivers over the API."""

import pytest

from dashboards.user import Role
from tests.dashboards.api.conftest import Call


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["admit", "refuse"])
async def test_applicants(call: Call, verb: str) -> None:
    waiting = (await call("GET", "/receivers", Role.VIEWER)).json()["applicants"]
    chosen = {"receiver_ids": [waiting[0]["receiver_id"]]}
    assert (await call("POST", f"/receivers/{verb}", Role.OPERATOR, json=chosen)).status_code == 204
    left = (await call("GET", "/receivers", Role.VIEWER)).json()
    assert left["applicants"] == waiting[1:]
    assert (await call("POST", f"/receivers/{verb}", Role.OPERATOR, json=chosen)).status_code == 409
    assert (await call("POST", f"/receivers/{verb}", json={"receiver_ids": []})).status_code == 422
