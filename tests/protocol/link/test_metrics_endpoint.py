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


def test_who_names_an_address_is_heard_there_alone() -> None:
    port = free_port()
    with MetricsEndpoint(CollectorRegistry(), port, "127.0.0.1"):
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).status == 200
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        with socket.create_server(("127.0.0.2", port)):
            pass  # nobody else's address is taken


def test_an_address_that_is_not_ours_is_told() -> None:
    with (
        pytest.raises(TransportError, match=r"metrics port .*"),
        MetricsEndpoint(CollectorRegistry(), free_port(), "192.0.2.1"),
    ):
        pass


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
