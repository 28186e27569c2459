"""The Django project: settings, addresses, the web and worker entry points, `make run`."""

from tvproject.celery import app as celery_app

__all__ = ["celery_app"]
