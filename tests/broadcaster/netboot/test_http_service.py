import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from broadcaster.http_listener import HttpListener
from broadcaster.netboot.decisions import OWN_DISK, Boots, Decision
from broadcaster.netboot.http_service import BootFiles, machine_address
from broadcaster.netboot.scripts import Scripts

MAC = "52:54:00:12:34:56"
SCRIPTS = Scripts("10.0.4.2", 8886, "")
ENVIRONMENT = Decision(Boots.ENVIRONMENT, "PC-01")


def served(
    folder: Path, ask: Callable[[aiohttp.ClientSession], Awaitable[None]], told: list[str] | None = None
) -> None:
    (folder / "vmlinuz").write_bytes(bytes(range(256)) * 4096)

    async def run() -> None:
        files = BootFiles(
            SCRIPTS,
            lambda address: ENVIRONMENT if address == MAC else OWN_DISK,
            {"vmlinuz": folder / "vmlinuz"},
            lambda address, _: (told if told is not None else []).append(address),
        )
        async with (
            HttpListener(IPv4Address("127.0.0.1"), 0, 0, files.answer) as listener,
            aiohttp.ClientSession(f"http://127.0.0.1:{listener.port}") as session,
        ):
            await ask(session)

    asyncio.run(run())


@pytest.mark.system
def test_each_machine_gets_its_own_script(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession) -> None:
        for asked, decision in (
            ("52-54-00-12-34-56", ENVIRONMENT),
            ("52:54:00:12:34:57", OWN_DISK),
            ("", OWN_DISK),
            (f"{MAC}\nshell", OWN_DISK),
            ("x" * 500, OWN_DISK),
        ):
            async with session.get("/boot.ipxe", params={"mac": asked}) as answer:
                assert await answer.text() == SCRIPTS.ipxe(decision, MAC)

    told: list[str] = []
    served(tmp_path, ask, told)
    assert told == [MAC, "52:54:00:12:34:57"]


@pytest.mark.system
def test_a_download_can_be_resumed(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.head("/vmlinuz") as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(1 << 20))
        async with session.get("/vmlinuz", headers={"Range": "bytes=1000000-"}) as answer:
            assert answer.status == 206
            assert await answer.read() == (bytes(range(256)) * 4096)[1_000_000:]

    served(tmp_path, ask)


@pytest.mark.system
def test_a_pc_that_is_switched_off_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def prepare(_response: web.FileResponse, _request: web.BaseRequest) -> None:
        raise TimeoutError(110, "Connection timed out")  # as sendfile does when nobody acknowledges any more

    async def ask(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get("/vmlinuz")

    monkeypatch.setattr(web.FileResponse, "prepare", prepare)
    served(tmp_path, ask)
    assert not caplog.records


@pytest.mark.system
def test_nothing_else_is_there(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/initrd.img", "/%2e%2e/etc/passwd", "/boot.ipxe/", "/dnsmasq.conf"):
            async with session.get(path) as answer:
                assert answer.status == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            async with session.request(method, "/vmlinuz") as answer:
                assert answer.status == 405

    served(tmp_path, ask)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (MAC, MAC),
        ("52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
        ("", None),
        (f"{MAC}0", None),
        (f"{MAC}\n", None),
        ("525400123456", None),
        ("\uff152:54:00:12:34:56", None),
    ],
)
def test_what_is_an_address(text: str, address: str | None) -> None:
    assert machine_address(text) == address
