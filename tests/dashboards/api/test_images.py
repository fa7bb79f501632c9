"""The library over the API."""

import asyncio

import pytest

from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call

pytestmark = pytest.mark.asyncio


async def test_import(call: Call, console: PlayedConsole) -> None:
    answer = await call("POST", "/images/import", json={"path": "/images/lab.img", "name": "new"})
    assert answer.status_code == 202
    await asyncio.gather(*console.work._tasks)
    job = (await call("GET", f"/jobs/{answer.json()['job_id']}")).json()
    assert (job["state"], job["result"]) == ("done", {"name": "new", "version": 1})
    assert "new" in [image["name"] for image in (await call("GET", "/images", Role.VIEWER)).json()]


async def test_verify(call: Call, console: PlayedConsole) -> None:
    answer = await call("POST", "/images/lab-ubuntu/1/verify", Role.OPERATOR)
    await asyncio.gather(*console.work._tasks)
    job = (await call("GET", f"/jobs/{answer.json()['job_id']}", Role.OPERATOR)).json()
    assert (job["state"], job["result"]) == ("done", {"damaged": 0, "details": []})


async def test_shrink(call: Call, console: PlayedConsole) -> None:
    answer = await call("POST", "/images/lab-ubuntu/1/shrink", json={"disk_size": 1 << 20})
    assert answer.status_code == 202
    await asyncio.gather(*console.work._tasks)
    job = (await call("GET", f"/jobs/{answer.json()['job_id']}")).json()
    assert (job["kind"], job["state"]) == ("shrink", "done")
    assert job["result"] == {"name": "lab-ubuntu", "version": 3, "disk_size": 1 << 20}
    assert (await call("POST", "/images/lab-ubuntu/1/shrink", Role.OPERATOR, json={"disk_size": 0})).status_code == 403
    assert (await call("POST", "/images/lab-ubuntu/1/shrink", json={"disk_size": -1})).status_code == 422
    assert (await call("POST", "/images/lab-ubuntu/9/shrink", json={"disk_size": 0})).status_code == 404


async def test_compare_and_remove(call: Call) -> None:
    answer = await call("GET", "/images/compare?name=lab-ubuntu&old_version=1&new_version=2", Role.VIEWER)
    assert sum(length for _, length in answer.json()["ranges"]) == answer.json()["changed_bytes"] > 0
    assert (await call("DELETE", "/images/lab-ubuntu/1")).json()["freed_bytes"] > 0
    assert (await call("DELETE", "/images/lab-ubuntu/1")).status_code == 404


async def test_in_use(call: Call, console: PlayedConsole) -> None:
    await call("POST", "/sessions", json={"room": "Room 1", "image": "lab-ubuntu", "version": 2})
    answer = await call("DELETE", "/images/lab-ubuntu/2")
    assert (answer.status_code, bool(answer.json()["detail"])) == (409, True)


async def test_a_failed_import_says_why(call: Call, console: PlayedConsole) -> None:
    console.desk.is_broadcaster_there = False
    answer = await call("POST", "/images/import", json={"path": "/images/lab.img", "name": "new"})
    await asyncio.gather(*console.work._tasks)
    job = (await call("GET", f"/jobs/{answer.json()['job_id']}")).json()
    assert job["state"] == "failed"
    assert "does not answer" in job["error"]
