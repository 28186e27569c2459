"""WSGI application, for any WSGI server; ours is `tvproject/server.py`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

application = get_wsgi_application()

# After `get_wsgi_application`, which loads the models. Runs once in each web process.
from datasets.serving import usage  # noqa: E402

usage.start()
