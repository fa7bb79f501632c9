"""Each alert fires on its cause, and none fires on what is no cause: rules.yml played by promtool over made-up series.

A scrape is every five seconds; ``AxN`` in a series is promtool's way to say that A comes N times more.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.fleet.views import SeatState
from dashboards.prometheus.rules import (
    ALERTS,
    DOCUMENT,
    RECORDINGS,
    TROUBLE_STATES,
    Alert,
    Recording,
    rules,
    rules_document,
)
from tests.dashboards.prometheus.metric_names import names_in, strange_names
from tests.dashboards.prometheus.promtool import needs_prometheus, promtool

SESSION = 'room="lab",session="aa"'
SEAT = f'{SESSION},seat="one",machine="m"'
INTERVAL = "5s"


def seat_state(state: str) -> tuple[str, str]:
    return f'slatecast_seat_state{{{SEAT},state="{state}"}}', "1x200"


def step(name: str) -> tuple[str, str]:
    return f'slatecast_session_step{{{SESSION},step="{name}"}}', "1x200"


def of_seat(metric: str, values: str) -> tuple[str, str]:
    return f"slatecast_seat_{metric}{{{SEAT}}}", values


def of_session(metric: str, values: str) -> tuple[str, str]:
    return f"slatecast_session_{metric}{{{SESSION}}}", values


def of_console(metric: str, values: str) -> tuple[str, str]:
    return f"slatecast_console_{metric}", values


RUNNING, RECEIVING = step("running"), seat_state("receiving")
SENDING = of_session("wire_rate_bytes_per_second", "50000000x200")
RECEIVES, NOT_A_BYTE = of_seat("received_bytes_total", "0+250000000x200"), of_seat("received_bytes_total", "0x200")
STANDS_STILL = of_seat("progress_ratio", "0.5x200")
FULL_RATE = "100000000x20"

FIRES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "a seat whose progress stands still": ("SlatecastSeatStuck", [RUNNING, RECEIVING, STANDS_STILL]),
    "a seat that stands still while it catches up": (
        "SlatecastSeatStuck",
        [RUNNING, seat_state("catching up"), STANDS_STILL],
    ),
    "a seat that the broadcaster calls stalled": ("SlatecastSeatStuck", [RUNNING, seat_state("stalled")]),
    "a seat that is lost": ("SlatecastSeatStuck", [RUNNING, seat_state("lost")]),
    "a failed seat": ("SlatecastSeatFailed", [RUNNING, seat_state("failed")]),
    "a damaged seat": ("SlatecastSeatFailed", [RUNNING, seat_state("damaged")]),
    "a refused seat": ("SlatecastSeatFailed", [RUNNING, seat_state("refused")]),
    "a seat that failed in a session that has ended": ("SlatecastSeatFailed", [step("ended"), seat_state("failed")]),
    "a seat to which nothing comes": ("SlatecastMulticastDoesNotArrive", [RUNNING, RECEIVING, SENDING, NOT_A_BYTE]),
    "a seat to which nothing comes any more": (
        "SlatecastMulticastDoesNotArrive",
        [RUNNING, RECEIVING, SENDING, of_seat("received_bytes_total", "900x200")],
    ),
    "a seat that has to catch up because nothing ever came": (
        "SlatecastMulticastDoesNotArrive",
        [RUNNING, seat_state("catching up"), SENDING, NOT_A_BYTE],
    ),
    "a rate that fell to a tenth": (
        "SlatecastRateCollapsed",
        [RUNNING, of_session("rate_bytes_per_second", f"{FULL_RATE} 10000000x200")],
    ),
    "a third of all datagrams for repair": (
        "SlatecastRepairOverBudget",
        [
            RUNNING,
            of_session("datagrams_sent_total", "0+3000x200"),
            of_session("repair_datagrams_sent_total", "0+1000x200"),
        ],
    ),
    "damaged blocks": ("SlatecastBlocksDamaged", [('slatecast_broadcaster_damaged_blocks{session="aa"}', "0x9 2x200")]),
    "a library that is nearly full": (
        "SlatecastLibraryNearlyFull",
        [of_console("library_free_bytes", "9x200"), of_console("library_size_bytes", "100x200")],
    ),
    "an interface without a link": ("SlatecastLinkDown", [of_console("link_up", "1x9 0x200")]),
    "a broker that is gone": (
        "SlatecastBrokerGone",
        [of_console("broker_up", "1x9 0x200"), of_console("broadcaster_up", "1x9 0x200")],
    ),
    "a broadcaster that is gone": (
        "SlatecastBroadcasterGone",
        [of_console("broker_up", "1x200"), of_console("broadcaster_up", "1x9 0x200")],
    ),
    "a broadcaster that was not heard for long": (
        "SlatecastConsoleDataOld",
        [of_console("broadcaster_age_seconds", "0+5x200")],
    ),
    "a session that was not heard of for long": (
        "SlatecastConsoleDataOld",
        [RUNNING, of_session("age_seconds", "0+5x200")],
    ),
    "a console that cannot be scraped": ("SlatecastConsoleGone", [('up{job="slatecast-console"}', "1x9 0x200")]),
}

CALM: dict[str, list[tuple[str, str]]] = {
    "a session that goes well": [
        *(RUNNING, RECEIVING, SENDING, RECEIVES),
        *(of_seat("progress_ratio", "0+0.001x200"), of_session("age_seconds", "0.5x200")),
        of_session("rate_bytes_per_second", f"{FULL_RATE} 60000000x200"),
        of_session("datagrams_sent_total", "0+3000x200"),
        of_session("repair_datagrams_sent_total", "0+100x200"),
    ],
    "a session that is paused": [
        *(step("paused"), RECEIVING, STANDS_STILL, NOT_A_BYTE),
        of_session("wire_rate_bytes_per_second", "0x200"),
        of_session("rate_bytes_per_second", f"{FULL_RATE} 0x200"),
    ],
    "a plan that waits for an operator": [step("planned"), seat_state("planned"), of_seat("progress_ratio", "0x200")],
    "a seat that joined a minute ago": [RUNNING, RECEIVING, of_seat("progress_ratio", "_x110 0.5x11")],
    "a seat that is done": [RUNNING, seat_state("verified"), SENDING, NOT_A_BYTE, of_seat("progress_ratio", "1x200")],
    "a seat that fetches the rest after it came late": [
        *(RUNNING, seat_state("catching up"), SENDING, of_seat("received_bytes_total", "900x200")),
        of_seat("progress_ratio", "0+0.001x200"),
    ],
    "a seat that waits while only holes are filled": [
        *(RUNNING, RECEIVING, NOT_A_BYTE, of_session("wire_rate_bytes_per_second", "50000000 0x200")),
    ],
    "repair of the first datagrams": [
        *(RUNNING, of_session("datagrams_sent_total", "900x200")),
        of_session("repair_datagrams_sent_total", "800x200"),
    ],
    "a healthy console": [
        *(of_console("broker_up", "1x200"), of_console("broadcaster_up", "1x200"), of_console("link_up", "1x200")),
        *(of_console("library_free_bytes", "50x200"), of_console("library_size_bytes", "100x200")),
        *(of_console("broadcaster_age_seconds", "0.5x200"), ('up{job="slatecast-console"}', "1x200")),
    ],
    "a broker that was away for a moment": [
        *(of_console("broker_up", "1x117 0 0 1x200"), of_console("broadcaster_up", "1x117 0 0 1x200")),
    ],
    "seats that are off": [seat_state("off"), seat_state("empty"), seat_state("idle")],
}


def test_the_committed_rules_are_what_the_code_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == rules_document(), "run: python -m dashboards.prometheus.rules"


@pytest.mark.parametrize("rule", [*RECORDINGS, *ALERTS], ids=lambda rule: rule.name)
def test_rules_ask_for_metrics_that_exist(rule: Recording | Alert) -> None:
    assert names_in(rule.expression) or isinstance(rule, Alert)
    assert not strange_names(rule.expression)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    assert alert.summary.endswith(".")
    assert len(alert.action) > 20


def test_states_of_trouble_are_those_of_the_seat_map() -> None:
    assert set(TROUBLE_STATES.split("|")) == {state.value for state in SeatState if state.is_trouble}


@needs_prometheus
@pytest.mark.system
def test_promtool_finds_no_fault() -> None:
    said = promtool("check", "rules", DOCUMENT, folder=DOCUMENT.parent)
    assert f"{len(RECORDINGS) + len(ALERTS)} rules found" in said


def test_every_alert_has_a_cause_that_fires_it() -> None:
    assert {name for name, _ in FIRES.values()} == {alert.name for alert in ALERTS}


@needs_prometheus
@pytest.mark.system
@pytest.mark.parametrize("cause", FIRES)
def test_alert_fires_on_its_cause_and_no_other_does(cause: str, tmp_path: Path) -> None:
    name, series = FIRES[cause]
    assert playing(series, tmp_path, [name])


@needs_prometheus
@pytest.mark.system
@pytest.mark.parametrize("what", CALM)
def test_nothing_fires_without_a_cause(what: str, tmp_path: Path) -> None:
    assert playing(CALM[what], tmp_path, [])


@needs_prometheus
@pytest.mark.system
def test_an_alert_names_its_seat(tmp_path: Path) -> None:
    (alert,) = [each for each in ALERTS if each.name == "SlatecastSeatFailed"]
    labels = {"room": "lab", "session": "aa", "seat": "one", "machine": "m", "state": "failed", "severity": "warning"}
    expected = {
        "exp_labels": labels,
        "exp_annotations": {
            "summary": re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], alert.summary),
            "action": alert.action,
        },
    }
    test = {"alert_rule_test": [{"eval_time": "10m", "alertname": alert.name, "exp_alerts": [expected]}]}
    assert play([seat_state("failed")], test, tmp_path)


def playing(series: list[tuple[str, str]], folder: Path, firing: list[str]) -> str:
    """Fails unless exactly these alerts fire after ten minutes."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    asked = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "10m",
        "exp_samples": samples,
    }
    return play(series, {"promql_expr_test": [asked]}, folder)


def play(series: list[tuple[str, str]], test: dict[str, Any], folder: Path) -> str:
    inputs = [{"series": name, "values": values} for name, values in series]
    (folder / "rules.yml").write_text(json.dumps(rules()))  # JSON is YAML
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": INTERVAL,
        "tests": [{"interval": INTERVAL, "input_series": inputs, **test}],
    }
    (folder / "test.yml").write_text(json.dumps(document))
    return promtool("test", "rules", "test.yml", folder=folder)
