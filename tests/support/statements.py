"""What the database is asked, whoever asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import connection


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect each SQL statement, also those of the driver, which Django does not count."""
    seen: list[str] = []
    driver = connection.connection
    if connection.vendor == "sqlite":
        driver.set_trace_callback(seen.append)
        try:
            yield seen
        finally:
            driver.set_trace_callback(None)
        return
    execute = type(driver.cursor()).execute

    def watched(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(str(query))
        return execute(cursor, query, *arguments, **options)

    with patch.object(type(driver.cursor()), "execute", watched):
        yield seen
