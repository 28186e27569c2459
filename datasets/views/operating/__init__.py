"""The state of the service: probes, metrics, and the status page."""
