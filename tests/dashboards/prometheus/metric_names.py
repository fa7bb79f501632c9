"""The metrics that a PromQL expression asks for."""

import re

from dashboards.prometheus.rules import RECORDINGS
from protocol.link.metric import MetricDescription
from slatecast.metrics_reference import PARTS

DESCRIBED: dict[str, MetricDescription] = {metric.name: metric for _, _, metrics in PARTS for metric in metrics}
RECORDED = {recording.name for recording in RECORDINGS}


def names_in(expression: str) -> set[str]:
    """Metrics of slatecast, recorded ones included."""
    return set(re.findall(r"(?:[a-z]+:)?slatecast_[a-z0-9_]+(?::[a-z0-9_]+)?", re.sub(r'"[^"]*"', "", expression)))


def strange_names(expression: str) -> set[str]:
    """Of these, the ones that nobody exports or records."""
    return names_in(expression) - set(DESCRIBED) - RECORDED
