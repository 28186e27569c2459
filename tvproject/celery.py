"""The Celery application; `celery -A tvproject worker` starts a worker."""

import os

from celery import Celery

from tvproject import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

broker.install()

app = Celery("tvproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["datasets.fetching"])


def _add_sweeper() -> None:
    # Imported late: the tasks need Django's settings, which name this module.
    from datasets.fetching.tasks import Sweeper

    app.steps["worker"].add(Sweeper)


app.on_after_finalize.connect(lambda **_: _add_sweeper(), weak=False)
