"""Every route of the seat API, as everybody and with everything, over captures and a library that are real.

Whatever is asked by a receiver that no operator has given anything to do, nothing comes into the library.
"""

import asyncio
import itertools
from ipaddress import ip_address
from pathlib import Path

import pytest

from broadcaster.authority import Authority
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.seat_api.api import SeatApi
from broadcaster.seat_api.routes import ROUTES, Asked
from protocol.link.tls import TlsIdentity, pinned_context, server_context
from receiver.identity import ReceiverIdentity
from tests.attacks.asking import ask
from tests.attacks.routes import METHODS, STRAY_PATHS
from tests.broadcaster.captures.played import PC, PlayedDisk, Present, Taken
from tests.broadcaster.library.disks import tree
from tests.broadcaster.seat_api.served import until
from tests.broadcaster.seat_api.test_routes import EXAMPLES, example

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.asyncio]

DISK = PlayedDisk(count=2)
BODIES = {
    "no body": b"",
    "garbage": bytes(range(256)),
    "chunks": DISK.framed(DISK.digests)[0],
    "a disk": DISK.described(),
}
UNASKED = {Asked.WORK: 200, Asked.STEP: 204}
"""What whoever has nothing to do may ask all the same; anything else is not there, or is no message."""


async def test_nothing_comes_of_what_nobody_has_ordered(tmp_path: Path) -> None:
    keys = KeyStore.open_or_create(tmp_path / "keys")
    library = Library.open_or_create(tmp_path / "library")
    taken = Taken(library, keys)
    receiver, authority = ReceiverIdentity.draw(), keys.authority
    taken.room.present.append(Present(receiver.receiver_id, "another"))
    shown = {
        whose: pinned_context(authority.certificate, identity)
        for whose, identity in {
            "no certificate": None,
            "of a foreign authority": TlsIdentity(
                Authority.create().receiver_certificate(receiver.keys.identity_key), receiver.tls_private_key
            ),
            "of the console": authority.role_identity("console"),
            "of another receiver": TlsIdentity(
                authority.receiver_certificate(receiver.keys.identity_key), receiver.tls_private_key
            ),
        }.items()
    }
    async with taken.intake as intake:
        tls = server_context(authority.server_identity(), client_authority=authority.certificate)
        async with SeatApi(ip_address("127.0.0.1"), 0, 1, tls=tls, captures=intake) as api:
            capture_id = intake.desk.capture("pc", "windows", "anna")
            assert intake.order(PC) is not None
            await until((library.root / "captures" / capture_id / "state.json").exists)
            before = tree(library.root)
            for route, method, (whose, context) in itertools.product(ROUTES, METHODS, shown.items()):
                path = example(route.template).replace(EXAMPLES["{id}"], capture_id)
                bodies = BODIES if method == route.method and whose == "of another receiver" else {"no body": b""}
                for what, body in bodies.items():
                    answer = await asyncio.to_thread(ask, api.port, method, path, tls=context, body=body)
                    status = None if answer is None else answer.status
                    if whose in {"no certificate", "of a foreign authority"}:
                        assert status is None, (whose, method, path)
                    elif whose == "of the console":
                        assert status == 403, (whose, method, path)
                    elif method != route.method:
                        assert status == 405, (method, path)
                    else:
                        assert status == UNASKED.get(route.asked) or status in {400, 404}, (what, method, path)
            for path in STRAY_PATHS:
                answer = await asyncio.to_thread(ask, api.port, "GET", path, tls=shown["of another receiver"])
                assert answer is not None
                assert answer.status == 404, path
            assert tree(library.root) == before
            assert [each.step.value for each in intake.desk.news()] == ["ordered"]
