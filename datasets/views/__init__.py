"""The pages for people, the pages of errors, and the probes for a load balancer."""

from datasets.views.chart_page import chart
from datasets.views.page_data import feed
from datasets.views.probes import healthz, readyz

__all__ = ["chart", "feed", "healthz", "readyz"]
