"""Where the receivers' own exporters are, as a document of Prometheus's HTTP service discovery. Pure.

What a receiver claims is believed as far as this: an IP address and a port, no name and no path. So a hostile receiver
can make Prometheus ask for ``/metrics`` where it may not, and nothing else.
https://prometheus.io/docs/prometheus/latest/http_sd/
"""

import ipaddress
import re
from typing import Any, Final

from dashboards.fleet.views import FleetView
from dashboards.prometheus.seat_metrics import MAX_SEATS_TOLD, placed
from protocol.link.metric import MAX_LABEL_LENGTH

LABEL_PREFIX: Final = "__meta_slatecast_"
"""Prometheus drops such labels unless its configuration keeps them: see prometheus.yml."""

_TARGET: Final = re.compile(r"(?:(?P<ipv4>[0-9.]{7,15})|\[(?P<ipv6>[0-9a-f:.]{2,45})\]):(?P<port>[1-9][0-9]{0,4})")


def targets(view: FleetView) -> list[dict[str, Any]]:
    """One group for each receiver that has an exporter, with the labels room, seat, machine and receiver_id.

    At most MAX_SEATS_TOLD; of two that claim one address the first counts.
    """
    exporters = dict(view.exporters)
    found: dict[str, dict[str, Any]] = {}
    for (room, seat, _, machine), each in placed(view):
        target = exporters.get(each.receiver_id, "")
        if is_target(target) and target not in found and len(found) < MAX_SEATS_TOLD:
            labels = {"room": room, "seat": seat, "machine": machine, "receiver_id": each.receiver_id}
            found[target] = {
                "targets": [target],
                "labels": {f"{LABEL_PREFIX}{name}": value[:MAX_LABEL_LENGTH] for name, value in labels.items()},
            }
    return list(found.values())


def is_target(text: str) -> bool:
    """Whether it is the literal address of one machine with a port: ``192.0.2.7:9101``, ``[2001:db8::7]:9101``."""
    match = _TARGET.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        return False
    try:
        address = ipaddress.ip_address(match["ipv4"] or match["ipv6"])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)
