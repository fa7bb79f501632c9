import asyncio
from typing import Any

import pytest
from nicegui import ui

from dashboards.desk import Progress
from dashboards.user import User
from protocol.errors import RefusedError
from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import settled, visiting
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_an_import_tells_its_progress_and_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with visiting() as visitor:
        go_on = asyncio.Event()
        ordered: list[tuple[User, str, str]] = []

        async def slow(user: User, path: str, name: str, progress: Progress) -> tuple[str, int]:
            ordered.append((user, path, name))
            progress(0.42, "chunks are read")
            await go_on.wait()
            return name, 1

        monkeypatch.setattr(visitor.desk, "import_image", slow)
        await visitor.open("/library")
        type_in(visitor, "Path", "/srv/images/lab.img")
        type_in(visitor, "Name of the image", "lab")
        await visitor.press("Import")
        await visitor.after(1)
        assert [(path, name) for _, path, name in ordered] == [("/srv/images/lab.img", "lab")]
        assert visitor.says("Import of lab: running")
        assert visitor.says("42 % · chunks are read")
        await visitor.open("/library")
        assert visitor.says("42 % · chunks are read")
        go_on.set()
        await settled()
        await visitor.after(1)
        assert visitor.says("It is version 1 of lab.")


async def test_what_is_no_path_is_refused_in_the_form() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        type_in(visitor, "Path", "lab.img")
        type_in(visitor, "Name of the image", "lab")
        await visitor.press("Import")
        assert visitor.says("write the whole path on the broadcaster's machine")
        assert not visitor.work.all()


async def test_damages_and_faults_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with visiting(user=OPERATOR) as visitor:
        outcomes: list[Any] = [{"damaged": 0}, {"damaged": 2, "details": ["chunk <7> is damaged"]}]

        async def verify(*_: object) -> dict[str, Any]:
            if not outcomes:
                raise RefusedError("the disk is busy: try again")
            outcome: dict[str, Any] = outcomes.pop(0)
            return outcome

        monkeypatch.setattr(visitor.desk, "verify_image", verify)
        await visitor.open("/library")
        for words in ("Every chunk is as it was", "2 chunks are damaged", "the disk is busy: try again"):
            await visitor.fire(named(visitor, "Verify lab-ubuntu version 2"), "click")
            await settled()
            await visitor.after(1)
            assert visitor.says(words)
        assert visitor.says("chunk <7> is damaged")
        assert visitor.says("Verification of lab-ubuntu version 2: failed")
        assert not visitor.all(ui.linear_progress)
