"""The project's settings, with the views that ours are compared with."""

from tvproject.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
# Compared with a cached reply in both ways that the server has, of which this one is the slower.
ANSWERED_AT_ONCE += ["/bench/empty-at-once"]  # noqa: F405
