"""Jobs over the API."""

import pytest

from dashboards.user import Role
from tests.dashboards.api.conftest import Call


@pytest.mark.asyncio
async def test_jobs(call: Call) -> None:
    assert (await call("GET", "/jobs", Role.OPERATOR)).json() == []
    begun = (await call("POST", "/images/lab-ubuntu/1/verify", Role.OPERATOR)).json()
    listed = (await call("GET", "/jobs", Role.OPERATOR)).json()
    assert [(job["job_id"], job["begun_by"]) for job in listed] == [(begun["job_id"], "otto/t0")]
    assert (await call("GET", f"/jobs/{'0' * 32}", Role.OPERATOR)).status_code == 404
