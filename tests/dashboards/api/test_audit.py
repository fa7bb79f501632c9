"""The audit log over the API."""

import pytest

from dashboards.user import Role
from tests.dashboards.api.conftest import Call


@pytest.mark.asyncio
async def test_audit(call: Call) -> None:
    shown = (await call("GET", "/audit?count=3")).json()
    assert (len(shown["entries"]), shown["is_intact"]) == (3, True)
    assert (await call("GET", "/audit", Role.OPERATOR)).status_code == 403
