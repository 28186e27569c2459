"""The application, for any WSGI server; ours is `tvproject/server.py`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

application = get_wsgi_application()

# After the application, which loads the models; in each web process once.
from datasets.serving import usage  # noqa: E402

usage.start()
