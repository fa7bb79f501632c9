"""Every HTTP route of slatecast, as everybody and with everything: row 47 of the table of faults, goal G15.

The routes come from the source; every method, credential and body is tried at each of them, in a real cast.
"""

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from broadcaster.front_door import FrontDoor
from broadcaster.keys import KeyStore
from broadcaster.waiting_room import RoomEvent
from protocol.enrolment import Refusal, Verdict, VerdictState, encode
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import unproved_context
from protocol.trust import encode_trust
from tests.attacks.asking import ask
from tests.attacks.routes import (
    BODIES,
    CREDENTIALS,
    LISTENERS,
    METHODS,
    PATHS,
    STRAY_PATHS,
    Route,
    expected,
    listeners_in_source,
    paths_in_source,
    routes,
)
from tests.attacks.standing_cast import StandingCast, standing_cast
from tests.broadcaster.library.disks import tree

OVER_HTTP = ("door", "lane", "metrics")

pytestmark = [pytest.mark.slow]


def test_every_listener_of_the_source_is_known_here() -> None:
    assert listeners_in_source() == set(LISTENERS), "say in routes.py what listens there, and attack it"


def test_every_path_of_the_source_is_known_here() -> None:
    assert paths_in_source() == set(PATHS), "say in routes.py who serves it, and attack it"
    assert set(PATHS.values()) <= {*OVER_HTTP, "seats", "loaders"}


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingCast]:
    with standing_cast(tmp_path_factory.mktemp("routes")) as cast:
        yield cast


def routes_of(cast: StandingCast, listener: str) -> list[Route]:
    found = [route for route in routes(cast.tsi, cast.receiver_id) if route.listener == listener]
    assert len(found) >= 2
    return found


@pytest.mark.system
class TestRoutes:
    def test_a_cast_listens_nowhere_else(self, cast: StandingCast) -> None:
        assert cast.listening_ports() == set(cast.ports.values())

    @pytest.mark.parametrize("listener", OVER_HTTP)
    @pytest.mark.parametrize("credential", CREDENTIALS)
    def test_row_47_no_request_gets_or_changes_what_it_may_not(
        self, cast: StandingCast, listener: str, credential: str
    ) -> None:
        before = cast.state()
        tls, port = cast.contexts[listener, credential], cast.ports[listener]
        wrong = []
        for route, method, (what, body) in itertools.product(routes_of(cast, listener), METHODS, BODIES.items()):
            answer = ask(port, method, route.path, tls=tls, body=body)
            status = None if answer is None else answer.status
            if status != expected(route, method, credential):
                wrong.append(f"{method} {route} with {what}: {status}")
            if listener != "metrics":  # whose library gives a refused HEAD a body
                assert answer is None or method != "HEAD" or not answer.body
        assert not wrong, "\n".join(wrong)
        assert cast.state() == before

    @pytest.mark.parametrize("listener", OVER_HTTP)
    def test_what_is_no_route_tells_nothing(self, cast: StandingCast, listener: str) -> None:
        before = cast.state()
        metrics = ask(cast.ports["metrics"], "GET", "/metrics")
        for credential, path, method in itertools.product(CREDENTIALS, STRAY_PATHS, ("GET", "POST")):
            answer = ask(cast.ports[listener], method, path, tls=cast.contexts[listener, credential])
            if listener == "metrics" and method == "GET":  # its library knows no paths
                assert answer is not None
                assert metrics is not None
                assert answer.body.splitlines()[:2] == metrics.body.splitlines()[:2]
            elif listener == "metrics":
                assert answer is not None
                assert answer.status == 405
            elif listener == "lane" and credential != "of another receiver":
                assert answer is None
            else:
                assert answer is not None
                assert answer.status == (405 if (listener, method) == ("lane", "POST") else 404)
                assert answer.body.count(b"\n") == 1
        assert cast.state() == before

    def test_fog_cve_2026_47688_no_get_has_side_effects(self, cast: StandingCast) -> None:
        """There a GET without a login wiped host keys and schedules."""
        before = cast.state()
        queries = ("?action=wipe", "?confirm=1&delete=all", "?_method=DELETE")
        for route, method, query in itertools.product(
            routes(cast.tsi, cast.receiver_id), ("GET", "HEAD", "OPTIONS"), queries
        ):
            tls = cast.contexts[route.listener, "of another receiver"]
            answer = ask(cast.ports[route.listener], method, route.path.partition("?")[0] + query, tls=tls)
            assert answer is not None
        assert cast.state() == before

    def test_a_listener_with_tls_says_nothing_in_clear_and_one_without_nothing_in_tls(self, cast: StandingCast) -> None:
        before = cast.state()
        for route in routes(cast.tsi, cast.receiver_id):
            other = cast.contexts["door", "no certificate"] if route.listener == "metrics" else None
            assert ask(cast.ports[route.listener], route.method, route.path, tls=other) is None
        assert cast.state() == before

    def test_a_body_that_never_comes_keeps_nothing_waiting(self, cast: StandingCast) -> None:
        before = cast.state()
        tls, port = cast.contexts["door", "no certificate"], cast.ports["door"]
        tries = list(itertools.product(routes_of(cast, "door"), (1 << 40, 1 << 13, -1)))
        with ThreadPoolExecutor(len(tries)) as threads:
            answers = threads.map(
                lambda one: ask(port, "POST", one[0].path, tls=tls, body=b"{", announced=one[1]), tries
            )
        assert {None if answer is None else answer.status for answer in answers} <= {None, 400}
        assert cast.state() == before

    def test_zz_the_cast_goes_on_as_if_nothing_had_been(self, cast: StandingCast) -> None:
        room = cast.room
        second = room.target("second")
        receiver = room.receive(second, cast.process.door(), seat="second")
        assert [receiver.finish(60), cast.seat.finish(60), cast.process.finish(60)] == [0, 0, 0]
        image = (room.folder / "source.img").read_bytes()
        assert cast.target.read_bytes() == image == second.read_bytes()


@pytest.mark.system
@pytest.mark.asyncio
async def test_no_request_enters_the_waiting_room(tmp_path: Path) -> None:
    """What a process does not show: exchanges, applicants, guesses, and what an operator is told."""
    keys, events = KeyStore.open_or_create(tmp_path / "keys"), list[RoomEvent]()
    before = tree(tmp_path)
    async with FrontDoor(
        ip_address("127.0.0.1"),
        0,
        1,
        key_store=keys,
        broker=BrokerAddress("10.0.0.1", tls=True),
        broker_authority=keys.authority.certificate,
        token="a token of the room",
        on_event=events.append,
    ) as door:
        wanted = [route for route in routes("0" * 16, "ab" * 16) if route.listener == "door"]
        bodies = {**BODIES, "an answer": encode(Verdict(**REFUSED)), "another's trust": encode_trust(keys.trust)}
        for route, method, (what, body) in itertools.product(wanted, METHODS, bodies.items()):
            answer = await asyncio.to_thread(ask, door.port, method, route.path, tls=unproved_context(), body=body)
            assert answer is not None
            assert answer.status == expected(route, method, "no certificate"), (method, route, what)
        room = door.waiting_room
        assert (room.exchange_count, room.pending, room.admitted, events) == (0, (), (), [])
    assert tree(tmp_path) == before


REFUSED: dict[str, Any] = {
    "state": VerdictState.REFUSED,
    "refusal": Refusal.OPERATOR,
    "signature": bytes(64),
    "token_proof": b"",
    "admission": b"",
    "certificate": "",
}


def test_the_table_demands_a_refusal_for_every_route() -> None:
    for route in routes("0" * 16, "0" * 32):
        statuses = {expected(route, method, credential) for method in METHODS for credential in CREDENTIALS}
        assert statuses >= {405, route.answers}
        assert (None in statuses) == (route.listener == "lane")
