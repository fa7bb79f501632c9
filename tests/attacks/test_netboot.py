"""What loaders ask for by HTTP, asked for as nobody should: every method, path, query and body.

There is no login here, since firmware has none: whoever asks learns what any machine may load, and changes nothing.
"""

import asyncio
import itertools
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import pytest

from broadcaster.http_listener import HttpListener
from broadcaster.netboot.decisions import OWN_DISK, Boots, Decision
from broadcaster.netboot.http_service import BootFiles
from broadcaster.netboot.scripts import Scripts
from tests.attacks import hostile
from tests.attacks.asking import Answer, ask
from tests.attacks.routes import BODIES, METHODS, STRAY_PATHS
from tests.broadcaster.library.disks import tree

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.asyncio]

ORDERED = "52:54:00:12:34:56"
SCRIPTS = Scripts("127.0.0.1", 8886, "")
SECRET = b"nobody asked for this"
FILES = ("vmlinuz", "initrd.img", "ipxe.efi")


async def test_nobody_gets_or_changes_more_than_what_machines_load(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "secret").write_bytes(SECRET)
    before = tree(tmp_path)
    decided = Decision(Boots.ENVIRONMENT, "PC-01")
    files = BootFiles(
        SCRIPTS,
        lambda address: decided if address == ORDERED else OWN_DISK,
        {name: tmp_path / name for name in FILES},
        lambda _address, _decision: None,
    )
    own_disk, environment = SCRIPTS.ipxe(OWN_DISK, "").encode(), SCRIPTS.ipxe(decided, ORDERED).encode()
    async with HttpListener(IPv4Address("127.0.0.1"), 0, 0, files.answer) as listener:

        async def asked(method: str, path: str, body: bytes = b"") -> Answer:
            answer = await asyncio.to_thread(ask, listener.port, method, path, body=body)
            assert answer is not None, (method, path)
            assert SECRET not in answer.body
            return answer

        for path in (*STRAY_PATHS, "/secret", "/../secret", "/vmlinuz/../secret", "/%2e%2e/secret", "/vmlinuz%00"):
            assert (await asked("GET", path)).status == 404, path
        for name, method, body in itertools.product((*FILES, "boot.ipxe"), METHODS, BODIES.values()):
            answer = await asked(method, f"/{name}", body)
            assert answer.status == (200 if method in {"GET", "HEAD"} else 405), (method, name)
        for text in (*hostile.COMMANDS, *hostile.PATHS, *hostile.URLS, *hostile.MARKUP, *hostile.CONTROL):
            for address in (text, f"{ORDERED}{text}", f"{text}{ORDERED}"):
                answer = await asked("GET", f"/boot.ipxe?mac={quote(address, safe='')}")
                assert (answer.status, answer.body) == (200, own_disk), "who has no order boots its own disk"
        answer = await asked("GET", f"/boot.ipxe?mac={ORDERED}&seat=evil&mode=capture&server=evil")
        assert answer.body == environment, "only the order says what it boots"
        assert (await asked("GET", f"/boot.ipxe?mac={'a' * 900}")).body == own_disk
    assert tree(tmp_path) == before
