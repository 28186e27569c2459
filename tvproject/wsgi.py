"""WSGI application, for any WSGI server; `tvproject/server.py` starts ours."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

application = get_wsgi_application()

# After `get_wsgi_application`, which loads the models. Runs once in each web process.
from django.conf import settings  # noqa: E402

from datasets.monitoring.reply_counts import replies  # noqa: E402
from datasets.serving import usage  # noqa: E402
from tvproject.stuck_readers import close_stuck_readers_soon  # noqa: E402

usage.start()
if settings.METRICS_TOKEN or settings.METRICS_NETWORKS:
    replies.start()
close_stuck_readers_soon(after_s=settings.WEB_READER_TIMEOUT_S)
