"""The example prometheus.yml that is committed beside the rules."""

from pathlib import Path

import pytest
import yaml

from broadcaster.authority import Authority
from dashboards.grafana.board import REFRESH
from dashboards.prometheus.routes import TARGETS_PATH
from dashboards.prometheus.rules import CONSOLE_JOB, DOCUMENT
from dashboards.prometheus.service_discovery import LABEL_PREFIX
from tests.dashboards.prometheus.promtool import needs_prometheus, promtool
from tests.dashboards.prometheus.real_prometheus import BROADCASTER, CONSOLE, EXAMPLE

CONFIGURATION = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


@needs_prometheus
@pytest.mark.system
def test_promtool_finds_no_fault(tmp_path: Path) -> None:
    for source in (EXAMPLE, DOCUMENT):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "authority.crt").write_bytes(Authority.create().certificate)
    (tmp_path / "token").write_text("of a viewer")
    assert "is valid prometheus config file" in promtool("check", "config", EXAMPLE.name, folder=tmp_path)


def test_it_asks_where_the_console_answers() -> None:
    console, broadcaster, receivers = CONFIGURATION["scrape_configs"]
    assert console["job_name"] == CONSOLE_JOB
    assert console["static_configs"] == [{"targets": [CONSOLE]}]
    assert broadcaster["static_configs"] == [{"targets": [BROADCASTER]}]
    assert receivers["http_sd_configs"][0]["url"] == f"https://{CONSOLE}{TARGETS_PATH}"


def test_it_keeps_the_labels_of_the_targets() -> None:
    rules = CONFIGURATION["scrape_configs"][-1]["relabel_configs"]
    assert {rule["target_label"]: rule["source_labels"] for rule in rules} == {
        label: [f"{LABEL_PREFIX}{label}"] for label in ("room", "seat", "machine")
    }


def test_it_scrapes_as_often_as_the_dashboards_look() -> None:
    assert CONFIGURATION["global"]["scrape_interval"] == REFRESH


def test_nothing_in_it_is_believed_without_proof() -> None:
    assert "insecure_skip_verify" not in EXAMPLE.read_text(encoding="utf-8")
