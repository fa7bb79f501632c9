"""A real Prometheus: a process of its own, with the committed configuration pointed at the ports of a test."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import yaml

from dashboards.prometheus.routes import METRICS_PATH, TARGETS_PATH
from dashboards.prometheus.rules import DOCUMENT
from tests.dashboards.prometheus.promtool import PROMETHEUS
from tests.end_to_end.room import free_port, wait_until

EXAMPLE = DOCUMENT.with_name("prometheus.yml")
INTERVAL = "1s"


class Prometheus:
    """Its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression, as of now."""
        result: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return result

    def label_values(self, label: str, metric: str) -> list[str]:
        """What Grafana asks for ``label_values(metric, label)``."""
        values: list[str] = self._ask(f"label/{label}/values", **{"match[]": metric})
        return values

    def targets(self) -> list[dict[str, Any]]:
        targets: list[dict[str, Any]] = self._ask("targets", state="active")["activeTargets"]
        return targets

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **parameters: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._base}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:
                document = json.load(answer)
        except HTTPError as error:
            raise AssertionError(f"{what} {parameters}: {error.read().decode()}") from error
        assert document["status"] == "success", document
        return document["data"]


@contextmanager
def prometheus(folder: Path, *, console_port: int, broadcaster_port: int) -> Iterator[Prometheus]:
    """Scrapes both every second, and the receivers that the console names; ended and gone at the end."""
    assert PROMETHEUS is not None
    port, configuration = free_port(), folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(pointed_at(console_port, broadcaster_port)))
    arguments = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *arguments], stdout=log, stderr=log, cwd=folder)
        try:
            server = Prometheus(port)
            wait_until(server.is_ready, "Prometheus")
            yield server
        finally:
            process.kill()
            process.wait()


def pointed_at(console_port: int, broadcaster_port: int) -> dict[str, Any]:
    """The committed example with other addresses, plain HTTP, and a scrape each second."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    document["rule_files"] = [str(DOCUMENT)]
    console, broadcaster, receivers = document["scrape_configs"]
    console["scheme"] = "http"
    console["metrics_path"] = METRICS_PATH
    del console["tls_config"]
    console["static_configs"] = [{"targets": [f"127.0.0.1:{console_port}"]}]
    broadcaster["static_configs"] = [{"targets": [f"127.0.0.1:{broadcaster_port}"]}]
    (discovery,) = receivers["http_sd_configs"]
    assert discovery["url"].endswith(TARGETS_PATH)
    receivers["http_sd_configs"] = [{"url": f"http://127.0.0.1:{console_port}{TARGETS_PATH}", "refresh_interval": "1s"}]
    return document
