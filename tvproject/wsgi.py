"""The web entry point: `granian --interface wsgi tvproject.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")

application = get_wsgi_application()
