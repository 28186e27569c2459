"""Incidents: what does not work, since when, and the webhook and the mail that tell it."""

from datasets.incidents.incident_log import is_worker_seen, update_incidents
from datasets.incidents.next_steps import next_step

__all__ = ["is_worker_seen", "next_step", "update_incidents"]
