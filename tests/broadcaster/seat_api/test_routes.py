import pytest

from broadcaster.seat_api.routes import ROUTES, Asked, match_path
from protocol.capture import MAX_CHUNKS_BODY

EXAMPLES = {"{tsi}": "0123456789abcdef", "{id}": "fedcba9876543210", "{digest}": "ab" * 32}


def example(template: str) -> str:
    for name, value in EXAMPLES.items():
        template = template.replace(name, value)
    return template


def test_every_route_is_found_by_its_path_and_nothing_is_asked_twice() -> None:
    assert {route.asked for route in ROUTES} == set(Asked)
    assert len(ROUTES) == len(Asked)
    for route in ROUTES:
        match = match_path(example(route.template))
        assert match is not None
        assert match.route is route
        assert match.tsi == (EXAMPLES["{tsi}"] if "{tsi}" in route.template else "")
        assert match.capture_id == (EXAMPLES["{id}"] if "{id}" in route.template else "")
        assert match.digest == (b"\xab" * 32 if "{digest}" in route.template else b"")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_what_is_beside_a_path_does_not_exist(route: object) -> None:
    path = example(route.template)  # type: ignore[attr-defined] # parametrize knows no types
    for beside in (f"{path}/", f"{path}?a=b", path.upper(), path.replace("/v1/", "/v2/"), f"/{path}", f"{path}\n"):
        assert match_path(beside) is None, beside


def test_only_bodies_that_are_held_in_memory_are_long() -> None:
    assert [route.asked for route in ROUTES if route.is_held] == [Asked.CHUNKS]
    assert all(route.longest <= MAX_CHUNKS_BODY or route.asked is Asked.DISK for route in ROUTES)
    assert all(bool(route.longest) is (route.method == "POST") for route in ROUTES)
