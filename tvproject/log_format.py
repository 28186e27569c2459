"""Django's `LOGGING`: one line a message on the console, as text or as JSON, without secrets."""

from __future__ import annotations

from typing import Any

_CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "tvproject.secrecy.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "tvproject.secrecy.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "filters": {
        "not named yet": {"()": "datasets.api.failure_log.NotNamedYet"},
        "outages": {
            "()": "django.utils.log.CallbackFilter",
            "callback": "ext://datasets.outages.in_one_line",
        },
        "refusals": {
            "()": "django.utils.log.CallbackFilter",
            "callback": "ext://datasets.api.failure_log.without_traceback_of_refusals",
        },
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Its messages describe code that this project replaces; our own errors are logged instead.
        "tvDatafeed": {"level": "CRITICAL"},
        "django.server": {"level": "WARNING"},
        "django.request": {"filters": ["not named yet", "outages", "refusals"]},
        # At INFO one line for each task received and done; the `Fetch` rows hold more than that.
        "celery": {"level": "WARNING"},
        # At WARNING one line for each start: a broker of files has no host.
        "kombu": {"level": "ERROR"},
    },
}


def configuration(log_format: str) -> dict[str, Any]:
    """Return `LOGGING` for a value of the setting `LOG_FORMAT`: `text` or `json`."""
    formatter = "json" if log_format == "json" else "line"
    console = {**_CONFIGURATION["handlers"]["console"], "formatter": formatter}
    return {**_CONFIGURATION, "handlers": {"console": console}}
