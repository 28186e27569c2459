"""The first message of a connection."""

from __future__ import annotations

import itertools

import orjson

from samplefeed.clock import Clock

_numbers = itertools.count(1)


def hello(clock: Clock) -> bytes:
    """Return the hello, a payload without a method."""
    stamps = clock.stamps()
    return orjson.dumps(
        {
            "session_id": f"0.{next(_numbers)}.1_sample-charts-free-1-tvbs-1",
            "timestamp": stamps["t"],
            "timestampMs": stamps["t_ms"],
            "release": "release_209-23",
            "studies_metadata_hash": "0fd29e4fdd03e654cf64f97efb4cd78bef47feac",
            "auth_scheme_vsn": 2,
            "protocol": "json",
            "via": "127.0.0.1:443",
            "javastudies": ["3.66"],
        }
    )
