"""The Django project: settings, addresses, entry points of web server and worker, `make run`."""

from tvproject.celery import app as celery_app

__all__ = ["celery_app"]
