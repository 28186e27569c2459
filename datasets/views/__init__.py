"""The pages for people, the pages of errors, and the probes for a load balancer."""

from datasets.views.chart_page import chart
from datasets.views.operating.probes import healthz, readyz
from datasets.views.page_data import feed

__all__ = ["chart", "feed", "healthz", "readyz"]
