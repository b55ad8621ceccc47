"""Metrics of one picture, one formula a file, and the protocol that applies them."""

from rdbench.metrics.metric import Metric
from rdbench.metrics.protocol import DEFAULT_PROTOCOL, METRICS, Protocol, score

__all__ = [
    "DEFAULT_PROTOCOL",
    "METRICS",
    "Metric",
    "Protocol",
    "score",
]
