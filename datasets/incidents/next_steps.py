"""Next steps for the operator, by the code of the error or the kind of the incident."""

from __future__ import annotations

from datasets.models import Incident

_LOOK_UP = "Check the symbol on TradingView's site; correct it in the watchlist, or remove it."
_SIGN_IN = "Renew the credentials in the settings (docs/settings.md), then restart the workers."
_WAIT = "The service tries again by itself; act only if this lasts for hours."
_LOG = "Read the worker's log, and the reply that is kept in rejected/ beside the datasets."
_DISK = "Check that the disk is mounted, has free space, and belongs to the service's user."

BY_CODE = {
    "symbol_not_found": _LOOK_UP,
    "no_data": "Check the symbol and the timeframe on TradingView's site; the listing may have ended.",
    "not_permitted": "Sign in with an account that may see this symbol, or remove it from the watchlist.",
    "timeframe_unavailable": "Remove this timeframe of the symbol from the watchlist.",
    "auth_failed": _SIGN_IN,
    "auth_captcha": "Sign in with a browser, then set TV_SESSION to its cookie, and restart the workers.",
    "auth_two_factor": "Set TV_SESSION to the cookie of a browser that is signed in, and restart the workers.",
    "auth_expired": _SIGN_IN,
    "rate_limited": "Lower TV_RATE_PER_MINUTE, or let the watchlists need fewer calls. The workers pause meanwhile.",
    "feed_timeout": _WAIT,
    "feed_unreachable": "Check this machine's network, its DNS and TV_WS_URL. The service tries again by itself.",
    "feed_closed": _WAIT,
    "feed_protocol": _LOG,
    "bad_bars": _LOG,
    "wrong_bars": _LOG,
    "bars_changed": _LOG,
    "store_failed": _DISK,
    "store_unavailable": _DISK,
    "state_unavailable": _DISK,
    "cache_unavailable": "Start the Redis server of CACHE_URL, or correct the address.",
    "database_unavailable": "Start the database of DATABASE_URL, or free space on its disk.",
    "worker_lost": "Read the worker's log: its process died during the fetch, often for lack of memory.",
    "fetch_cancelled": "A person cancelled the fetch; the next one comes by itself.",
    "fetch_failed": _WAIT,
}
_BY_KIND = {
    Incident.Kind.BEHIND: "Look at /fetches/: a long queue, a pause of all calls, or too many series for TV_RATE_PER_MINUTE.",
    Incident.Kind.SIGN_IN: _SIGN_IN,
    Incident.Kind.NO_LIVE: "Start `manage.py live`, or read the log of the process that ended.",
    Incident.Kind.NO_WORKER: "Start a worker, or read the log of the one that ended.",
}  # fmt: skip


def next_step(incident: Incident) -> str:
    """Return what an operator can do about the incident, in one or two sentences."""
    by_kind = _BY_KIND.get(Incident.Kind(incident.kind), _WAIT)
    return BY_CODE.get(incident.error_code, by_kind)
