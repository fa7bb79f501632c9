import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from dashboards.access.policy import AccessPolicy
from dashboards.prometheus.routes import METRICS_PATH, TARGETS_PATH, prometheus_routes
from tests.dashboards.prometheus.sample_fleet import fleet


@pytest.fixture
def console() -> TestClient:
    app = FastAPI()
    app.include_router(prometheus_routes(lambda: fleet(exporters=(("o" * 32, "192.0.2.11:9101"),))))
    return TestClient(app)


def test_metrics(console: TestClient) -> None:
    answer = console.get(METRICS_PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert "slatecast_seat_progress_ratio" in names


def test_open_metrics_for_who_asks_for_it(console: TestClient) -> None:
    answer = console.get(METRICS_PATH, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_targets(console: TestClient) -> None:
    answer = console.get(TARGETS_PATH)
    assert answer.headers["content-type"] == "application/json"  # Prometheus refuses anything else
    assert [group["targets"] for group in answer.json()] == [["192.0.2.11:9101"]]


def test_access_judges_exactly_these_paths() -> None:
    assert AccessPolicy(hosts=frozenset({"localhost"})).metrics_paths == {METRICS_PATH, TARGETS_PATH}
