"""A real Prometheus: a process of its own, with the committed configuration and other addresses."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from dashboards.prometheus.rules import DOCUMENT
from tests.dashboards.prometheus.promtool import PROMETHEUS
from tests.end_to_end.room import free_port, wait_until

EXAMPLE = DOCUMENT.with_name("prometheus.yml")
CONSOLE, BROADCASTER = "192.0.2.10:8443", "192.0.2.10:9101"
"""In the example."""

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
def prometheus(folder: Path, *, console: str, broadcaster: str, authority: bytes, token: str) -> Iterator[Prometheus]:
    """Scrapes both every second, and the receivers that the console names; ended and gone at the end.

    ``authority`` is PEM of who issued the console's certificate, ``token`` one of a viewer.
    """
    assert PROMETHEUS is not None
    port, configuration = free_port(), folder / "prometheus.yml"
    configuration.write_text(pointed_at(console, broadcaster))
    (folder / "authority.crt").write_bytes(authority)
    (folder / "token").write_text(token)
    (folder / DOCUMENT.name).write_bytes(DOCUMENT.read_bytes())
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


def pointed_at(console: str, broadcaster: str) -> str:
    """The committed example with other addresses and a scrape each second; nothing else of it is changed."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace(CONSOLE, console).replace(BROADCASTER, broadcaster)
    return re.sub(r"(scrape_interval|evaluation_interval|refresh_interval): \d+s", rf"\1: {INTERVAL}", text)
