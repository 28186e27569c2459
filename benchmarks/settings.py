"""The project's settings, with additional views for comparison."""

from tvproject.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
