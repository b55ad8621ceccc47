"""Metrics of one image, one module per formula, and the protocol that applies them."""

from rdbench.metrics.metric import Metric
from rdbench.metrics.protocol import DEFAULT_PROTOCOL, METRICS, Protocol, available, score, why_not

__all__ = [
    "DEFAULT_PROTOCOL",
    "METRICS",
    "Metric",
    "Protocol",
    "available",
    "score",
    "why_not",
]
