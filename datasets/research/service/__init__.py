"""How does the loader read from a running service? Its client, over HTTP only."""

from datasets.research.service.service_client import Service, local_address

__all__ = ["Service", "local_address"]
