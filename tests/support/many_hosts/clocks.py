"""Programs under a wrong clock, by libfaketime."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import Need

_FAKED = Path(__file__).with_name("faked")


def with_clock(arguments: list[str], ahead_s: int, need: Need) -> list[str]:
    """Return the command that runs a program whose clock is `ahead_s` seconds ahead; 0 changes nothing.

    The program's steady clock stays right, as on a real host.
    """
    if not ahead_s:
        return arguments
    need("faketime")
    # Debian has one folder for each processor.
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    clock = [
        f"LD_PRELOAD={library}",
        f"FAKETIME={ahead_s:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        f"PYTHONPATH={_FAKED}",
    ]
    # By `env`, so that no program before it has the wrong clock.
    return ["env", *clock, *arguments]
