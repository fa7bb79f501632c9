"""A real Prometheus scrapes a real cast: every query of every dashboard and every recording rule has an answer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from dashboards.grafana.generate import BOARDS
from dashboards.prometheus.rules import ALERTS, CONSOLE_JOB, RECORDINGS
from protocol.messages import ReceiverReport
from tests.dashboards.grafana.board_queries import Choice, choices, committed, expressions
from tests.dashboards.prometheus.console_exporter import console_exporter
from tests.dashboards.prometheus.promtool import needs_prometheus
from tests.dashboards.prometheus.real_prometheus import Prometheus, prometheus
from tests.end_to_end.room import Room, free_port

pytestmark = [pytest.mark.system, pytest.mark.slow, needs_prometheus]

RATE_INTERVAL = "5s"
"""``$__rate_interval``, as Grafana works it out for a scrape each second."""

PATIENCE = 25.0
"""[s] until everything has been scraped twice, and the windows of all rates are filled; the cast lasts longer."""

SEATS = ("one", "two")


@dataclass
class Scraped:
    """A cast that is being scraped."""

    server: Prometheus
    room: str
    """that the console shows being cast"""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("cast")
    broadcaster_port, receiver_ports = free_port(), [free_port() for _ in SEATS]
    with (
        Room(folder) as room,
        console_exporter(folder / "console", receiver_ports) as console,
        prometheus(
            folder,
            console=console.address,
            broadcaster=f"127.0.0.1:{broadcaster_port}",
            authority=console.authority,
            token=console.token,
        ) as server,
    ):
        source = room.source(size=26 << 20)  # 16 MiB in use: a minute at this rate
        cast = room.cast(source, "--expect", len(SEATS), "--rate", "2M", "--metrics-port", broadcaster_port)
        watch, door = room.watch(cast.broker()), cast.door()
        for seat, port in zip(SEATS, receiver_ports, strict=True):
            room.receive(room.target(seat, 26 << 20), door, "--metrics-port", port, seat=seat)
        watch.until(ReceiverReport, lambda report: 0 < report.blocks_missing < report.blocks_total)
        yield Scraped(server, console.room)


def test_every_exporter_is_found_and_scraped(scraped: Scraped) -> None:
    def jobs() -> list[str]:
        return sorted(target["labels"]["job"] for target in scraped.server.targets() if target["health"] == "up")

    wanted = sorted([CONSOLE_JOB, "slatecast-broadcaster", *["slatecast-receivers"] * len(SEATS)])
    until(lambda: jobs() == wanted)
    assert jobs() == wanted, scraped.server.targets()
    for target in scraped.server.targets():
        if target["labels"]["job"] == "slatecast-receivers":
            assert {"room", "seat", "machine"} <= set(target["labels"])
            assert target["labels"]["room"] == scraped.room
    moved = ["slatecast_broadcaster_sent_bytes_total > 0", "slatecast_receiver_received_bytes_total > 0"]
    until(lambda: [len(scraped.server.query(each)) for each in moved] == [1, len(SEATS)])
    assert [len(scraped.server.query(each)) for each in moved] == [1, len(SEATS)], "the cast is under way"


@pytest.mark.parametrize("board", BOARDS)
def test_every_query_of_a_dashboard_has_an_answer(scraped: Scraped, board: str) -> None:
    document = committed(board)
    chosen = {choice.label: choose(scraped, choice) for choice in choices(document)}
    wanted = {(title, substituted(expression, chosen)) for title, expression in expressions(document)}
    assert not unanswered(scraped.server, wanted)


def test_every_recording_rule_has_an_answer(scraped: Scraped) -> None:
    wanted = {(rule.name, rule.name) for rule in RECORDINGS} | {(rule.name, rule.expression) for rule in RECORDINGS}
    assert not unanswered(scraped.server, wanted)


def test_every_rule_can_be_evaluated(scraped: Scraped) -> None:
    def states() -> dict[str, str]:
        return {rule["name"]: rule["health"] for rule in scraped.server.rules()}

    until(lambda: set(states().values()) == {"ok"})
    assert states() == {rule.name: "ok" for rule in (*RECORDINGS, *ALERTS)}, scraped.server.rules()


def test_a_metric_that_nobody_exports_would_be_missed(scraped: Scraped) -> None:
    nonsense = {("nonsense", "slatecast_no_such_metric")}
    assert unanswered(scraped.server, nonsense, patience=0.0) == nonsense


def choose(scraped: Scraped, choice: Choice) -> str:
    """What a viewer would choose: the room that is being cast, the only session."""
    until(lambda: bool(scraped.server.label_values(choice.label, choice.metric)))
    values = scraped.server.label_values(choice.label, choice.metric)
    assert values, f"nothing to choose: {choice}"
    return scraped.room if scraped.room in values else values[0]


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
