"""Read by Python at its start under libfaketime 0.9.10, whose `clock_nanosleep` refuses every sleep of Python."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]
