"""The project's settings, with the views that ours are compared with."""

from tvproject.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
