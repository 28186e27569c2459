"""The facts around the bars of a reply: its JSON envelope and its headers."""

from __future__ import annotations

from typing import Any

import orjson

from datasets.bars.coverage import Coverage
from datasets.catalog.holdings import complete_until
from datasets.serving.bars_request import Answer, MadeBars


def enveloped(
    answer: Answer,
    covered: Coverage,
    last_bar_final: bool | None,
    count: int,
    bars: bytes,
    made: MadeBars | None,
    more: dict[str, Any],
) -> bytes:
    """Return the JSON reply; the user's five keys come first, `more` is last."""
    dataset = answer.dataset
    head = {
        "symbol": dataset.symbol,
        "exchange": dataset.exchange,
        "timeframe": dataset.timeframe if made is None else made.length.value,
        "count": count,
    }
    tail = {
        "source": dataset.source,
        "dataset": dataset.pk,
        "cached": answer.is_cached,
        "stale": answer.is_stale,
        "fetched_at": dataset.fetched_at,
        "last_bar_final": last_bar_final,
        "complete_until": complete_until(dataset),
        "n_bars": dataset.n_bars,
        **({} if made is None else {"made_from": dataset.timeframe}),
        "session": dataset.session,
        "adjustment": dataset.adjustment,
        "content_hash": dataset.content_hash,
        "is_limited": dataset.is_limited,
        **covered.as_dict(),
        "doubts": dataset.doubts,
        "instrument": dataset.instrument,
        **more,
    }
    return (
        orjson.dumps(head)[:-1]
        + b',"ohlc":'
        + bars
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )


def headers_of(covered: Coverage, last_bar_final: bool | None) -> tuple[tuple[str, str], ...]:
    """Return the headers `Covers-Start`, `Held-From`, `Held-Through` and `Last-Bar-Final`."""
    facts = covered.as_dict() | {"last_bar_final": last_bar_final}
    said = orjson.loads(orjson.dumps(facts, option=orjson.OPT_UTC_Z))
    return tuple(
        (name.replace("_", "-").title(), value if isinstance(value, str) else str(value).lower())
        for name, value in said.items()
        if value is not None
    )
