"""The web entry point: `granian --interface wsgi tvproject.wsgi:application`."""

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

_django = get_wsgi_application()

# Only now: it is Django that finds the settings.
from datasets.lane import lane  # noqa: E402


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request, in its turn."""
    with lane.turn():
        return _django(environ, start_response)
