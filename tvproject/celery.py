"""The Celery application; `celery -A tvproject worker` starts a worker."""

import os

from celery import Celery

from tvproject import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

broker.install()

app = Celery("tvproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["datasets.fetching"])


def add_steps(**named: object) -> None:
    """Add the sweeper and the watch over incidents to the worker's steps."""
    # Imported here: the tasks need Django's settings, and Django imports this module first.
    from datasets.fetching.tasks import Sweeper
    from datasets.incidents.incident_watch import IncidentWatch

    app.steps["worker"].update([Sweeper, IncidentWatch])


app.on_after_finalize.connect(add_steps, weak=False)
