"""The table of advice for each error code: a heading, and the next step for the reader.

The error's own sentence says what happened. The step adds what the reader can do; it is empty
where the sentence says that already. The page of fetches and the chart page use the same table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """The words that a page adds to an error's own sentence."""

    title: str
    step: str = ""


_OPERATOR = "Only the operator of this service can repair this."
_KEPT = "Stored bars can still be opened."
_WAIT = "Wait a moment."
_LOG = "The worker's log tells the operator of this service more."
_REPLY_KEPT = "Nothing was stored. The reply is kept for the operator of this service."

ADVICE = {
    "invalid_request": Advice("This cannot be fetched"),
    "symbol_not_found": Advice("Unknown symbol"),
    "no_data": Advice(
        "No bars", "Try another timeframe, or another exchange that lists the same symbol."
    ),
    "not_permitted": Advice("Not permitted"),
    "timeframe_unavailable": Advice("No such timeframe here"),
    "auth_failed": Advice("Sign-in refused", _OPERATOR),
    "auth_captcha": Advice("Sign-in needs a captcha", _OPERATOR),
    "auth_two_factor": Advice("Sign-in needs a second factor", _OPERATOR),
    "auth_expired": Advice("Sign-in has expired", _OPERATOR),
    "rate_limited": Advice("Too many calls", _KEPT),
    "feed_timeout": Advice("The feed does not answer"),
    "feed_unreachable": Advice("The feed cannot be reached", _KEPT),
    "feed_closed": Advice("The feed closed the connection", _KEPT),
    "feed_protocol": Advice("The feed's reply cannot be read", _LOG),
    "bad_bars": Advice("The bars are damaged", _REPLY_KEPT),
    "wrong_bars": Advice("The feed answered with other bars", _REPLY_KEPT),
    "bars_changed": Advice("The feed changed its own bars", _REPLY_KEPT),
    "store_failed": Advice("The bars could not be stored", _OPERATOR),
    "store_unavailable": Advice("The datasets cannot be reached", _OPERATOR),
    "state_unavailable": Advice("The service cannot write", _OPERATOR),
    "cache_unavailable": Advice("The service cannot count its calls", _OPERATOR),
    "database_unavailable": Advice("The catalog does not answer", _OPERATOR),
    "busy": Advice("The service is busy", _WAIT),
    "fetch_cancelled": Advice("The fetch was cancelled", "Fetch again to start another one."),
    "worker_lost": Advice("The fetch was lost", _LOG),
    "disabled": Advice("Turned off"),
    "not_authenticated": Advice("Sign in first", "Sign in, then open this page again."),
    "forbidden": Advice("Not allowed", "Ask the operator of this service for access."),
    "changed_meanwhile": Advice("Changed meanwhile"),
    "too_many_requests": Advice("Too many requests", _KEPT),
    "queue_full": Advice("The queue is full", "Try again in a few minutes."),
    # `shared/api.js` gives these two codes to a request that got no answer.
    "service_unreachable": Advice(
        "No answer", "If you run the service yourself, look at its terminal."
    ),
    "offline": Advice("Offline", "Try again when the device is connected."),
}
