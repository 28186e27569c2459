"""The project's settings, with additional views for comparison."""

from tvproject.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
# The empty view is measured in both of the server's ways to answer; this way is the slower one.
ANSWERED_AT_ONCE += ["/bench/empty-at-once"]  # noqa: F405
