"""A real Prometheus scrapes a real service that casts: every query of every dashboard and every rule has an answer."""

import time
from collections.abc import Callable, Iterator

import pytest

from dashboards.grafana.generate import BOARDS
from dashboards.prometheus.rules import ALERTS, CONSOLE_JOB, RECORDINGS
from tests.dashboards.grafana.board_queries import Choice, choices, committed, expressions
from tests.dashboards.prometheus.promtool import needs_prometheus
from tests.dashboards.prometheus.real_prometheus import Prometheus, prometheus
from tests.dashboards.prometheus.served_cast import ROOM, SEATS, serve_and_cast
from tests.end_to_end.room import Room

pytestmark = [pytest.mark.system, pytest.mark.slow, needs_prometheus]

RATE_INTERVAL = "5s"
"""``$__rate_interval``, as Grafana works it out for a scrape each second."""

PATIENCE = 25.0
"""[s] until everything has been scraped twice, and the windows of all rates are filled; the cast lasts longer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes a service with a cast that goes on for longer than anybody looks."""
    folder = tmp_path_factory.mktemp("cast")
    with Room(folder) as room:
        cast = serve_and_cast(room)
        with prometheus(
            folder,
            console=cast.console,
            broadcaster=cast.broadcaster,
            authority=cast.authority,
            token=cast.token,
        ) as server:
            yield server


def test_every_exporter_is_found_and_scraped(server: Prometheus) -> None:
    def jobs() -> list[str]:
        return sorted(target["labels"]["job"] for target in server.targets() if target["health"] == "up")

    wanted = sorted([CONSOLE_JOB, "slatecast-broadcaster", *["slatecast-receivers"] * len(SEATS)])
    until(lambda: jobs() == wanted)
    assert jobs() == wanted, server.targets()
    for target in server.targets():
        if target["labels"]["job"] == "slatecast-receivers":
            assert {"room", "seat", "machine"} <= set(target["labels"])
            assert target["labels"]["room"] == ROOM
    moved = ["slatecast_broadcaster_sent_bytes_total > 0", "slatecast_receiver_received_bytes_total > 0"]
    until(lambda: [len(server.query(each)) for each in moved] == [1, len(SEATS)])
    assert [len(server.query(each)) for each in moved] == [1, len(SEATS)], "the cast is under way"


@pytest.mark.parametrize("board", BOARDS)
def test_every_query_of_a_dashboard_has_an_answer(server: Prometheus, board: str) -> None:
    document = committed(board)
    chosen = {choice.label: choose(server, choice) for choice in choices(document)}
    wanted = {(title, substituted(expression, chosen)) for title, expression in expressions(document)}
    assert not unanswered(server, wanted)


def test_every_recording_rule_has_an_answer(server: Prometheus) -> None:
    wanted = {(rule.name, rule.name) for rule in RECORDINGS} | {(rule.name, rule.expression) for rule in RECORDINGS}
    assert not unanswered(server, wanted)


def test_every_rule_can_be_evaluated(server: Prometheus) -> None:
    def states() -> dict[str, str]:
        return {rule["name"]: rule["health"] for rule in server.rules()}

    until(lambda: set(states().values()) == {"ok"})
    assert states() == {rule.name: "ok" for rule in (*RECORDINGS, *ALERTS)}, server.rules()


def test_a_cast_that_goes_well_raises_no_alarm(server: Prometheus) -> None:
    assert not server.query('ALERTS{alertname=~"Slatecast.*", alertname!="SlatecastLibraryNearlyFull"}')


def test_a_metric_that_nobody_exports_would_be_missed(server: Prometheus) -> None:
    nonsense = {("nonsense", "slatecast_no_such_metric")}
    assert unanswered(server, nonsense, patience=0.0) == nonsense


def choose(server: Prometheus, choice: Choice) -> str:
    """What a viewer would choose: there is one room and one session."""
    until(lambda: bool(server.label_values(choice.label, choice.metric)))
    values = server.label_values(choice.label, choice.metric)
    assert len(values) == 1, f"{choice}: {values}"
    return values[0]


def substituted(expression: str, chosen: dict[str, str]) -> str:
    for name, value in {"__rate_interval": RATE_INTERVAL, **chosen}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    return expression


def unanswered(server: Prometheus, wanted: set[tuple[str, str]], *, patience: float = PATIENCE) -> set[tuple[str, str]]:
    """Of titles and expressions, the ones whose result stays empty."""
    left = set(wanted)

    def all_answered() -> bool:
        left.difference_update([each for each in left if has_answer(server, each[1])])
        return not left

    until(all_answered, patience)
    return left


def has_answer(server: Prometheus, expression: str) -> bool:
    """Whether there is at least one number: 0 divided by 0 is none."""
    return any(sample["value"][1] != "NaN" for sample in server.query(expression))


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Look until it holds, or until it is no use; the caller judges."""
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
