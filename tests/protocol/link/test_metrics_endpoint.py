import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from protocol.errors import TransportError
from protocol.link.metrics_endpoint import MetricsEndpoint
from tests.end_to_end.room import free_port

pytestmark = pytest.mark.system


def test_the_registry_is_served_until_the_end() -> None:
    registry = CollectorRegistry()
    Counter("seats", "Seats.", registry=registry).inc(3)
    port = free_port()
    with MetricsEndpoint(registry, port):
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        families = {family.name: family.samples[0].value for family in text_string_to_metric_families(text)}
        assert families["seats"] == 3
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


def test_without_a_port_nothing_happens() -> None:
    with MetricsEndpoint(CollectorRegistry(), None):
        pass


def test_a_port_in_use_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(TransportError, match=r"metrics port .*: Address already in use; choose another"),
        MetricsEndpoint(CollectorRegistry(), taken.getsockname()[1]),
    ):
        pass
