"""Replies of the tools as text: compact JSON with a largest size, and errors with advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from datasets.errors import DatasetsError, InvalidRequest, ReplyTooLarge

# Most characters of one reply: about 10,000 tokens.
MAX_CHARACTERS = 24_000
# Most characters of a text that the service or TradingView gives, such as a description.
MAX_TEXT = 400

ADJUSTMENTS = {
    "splits": "Prices before a split are divided by it. Returns are right; old prices are not those of their day.",
    "dividends": (
        "Prices are adjusted for splits and dividends. Returns include dividends; old prices are not those of "
        "their day."
    ),
    "none": "Prices are those of their day. Returns over a split or a dividend are wrong.",
}
SAMPLE_NOTE = "These bars are synthetic: made up by the sample feed, not market data."

_ADVICE = {
    "invalid_request": "Correct the named argument and call the tool again.",
    "not_found": (
        "Look with list_series which series exist. request_fetch, where it is offered, has the service fetch a "
        "missing one; else a person can open the service's page."
    ),
    "not_authenticated": "A person must set a valid API token for this server (TV_TOKEN).",
    "forbidden": "The token lacks this permission; a person must ask the service's operator.",
    "too_many_requests": "Wait a minute before the next call.",
    "busy": "Wait a few seconds, then call the tool again.",
    "queue_full": "Wait until fetches have ended, then call the tool again.",
    "rate_limited": "TradingView refuses more calls for now; use bars that are held.",
    "symbol_not_found": "Find the right name with search_symbols.",
    "no_data": "Try another timeframe, or another exchange with search_symbols.",
    "internal_error": "Report it to the operator with the server's error output; a person must look at it.",
    "disabled": "The operator has turned the service off.",
    "service_failed": (
        "Check that the service runs at the named address. If the reply was too large, narrow start and end."
    ),
    "too_large": "Narrow the request: a shorter range, a filter, or a smaller limit.",
}


def to_text(answer: Mapping[str, Any]) -> str:
    """Return the answer as JSON; raise `ReplyTooLarge` above `MAX_CHARACTERS`."""
    text = orjson.dumps(_shortened(answer)).decode()
    if len(text) > MAX_CHARACTERS:
        raise ReplyTooLarge(
            f"The reply has {len(text):,} characters; at most {MAX_CHARACTERS:,} are sent."
        )
    return text


def error_text(error: DatasetsError) -> str:
    """Return the error as JSON: `code`, `detail`, `retryable`, `advice`, and `errors` by argument."""
    # `ServiceFailed` has the code of the service's reply, or the general one.
    code = error.code if error.code != "error" else "service_failed"
    retry = "Call the tool again in a moment." if error.retryable else "A person must look at it."
    answer: dict[str, Any] = {
        "code": code,
        "detail": str(error),
        "retryable": error.retryable,
        "advice": _ADVICE.get(code, retry),
    }
    if isinstance(error, InvalidRequest):
        answer["errors"] = dict(list(error.errors.items())[:10])
    return orjson.dumps(_shortened(answer)).decode()


def _shortened(value: Any) -> Any:
    """Return the value with each text in it at most `MAX_TEXT` characters long."""
    if isinstance(value, str) and len(value) > MAX_TEXT and not value.startswith("http"):
        return value[: MAX_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {name: _shortened(each) for name, each in value.items()}
    if isinstance(value, float):
        # Digits that no price has cost an assistant as much as the others.
        return float(f"{value:.10g}")
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a series in every reply: its key, and what its prices are."""
    instrument = row["instrument"]
    full_symbol = row.get("full_symbol") or f"{row['exchange']}:{row['symbol']}"
    found = {
        "symbol": full_symbol,
        "timeframe": row["timeframe"],
        "session": row["session"],
        "adjustment": row["adjustment"],
        "adjustment_means": ADJUSTMENTS[row["adjustment"]],
        "source": row["source"],
        "currency": instrument.get("currency"),
        "timezone": instrument.get("timezone"),
    }
    return found | ({"note": SAMPLE_NOTE} if row["source"] == "sample" else {})
