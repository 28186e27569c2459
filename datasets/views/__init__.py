"""The pages."""

from datasets.views.chart_page import (
    chart,
    feed,
    healthz,
    readyz,
)

__all__ = [
    "chart",
    "feed",
    "healthz",
    "readyz",
]
