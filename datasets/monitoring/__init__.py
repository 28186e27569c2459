"""Metrics of the service for Prometheus: from the catalog, and from counters of the web processes."""
