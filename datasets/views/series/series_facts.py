"""What the page of a series shows of its archive: years, holes, generations, files, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datasets.archive.series_rows import folder_of
from datasets.archive.spans import clipped, spans_of
from datasets.bars import IMPORTED, Adjustment, Timeframe
from datasets.errors import StoreError, StoreFailed, StoreUnavailable
from datasets.models import Series
from datasets.storage.archives.series_document import OlderBars, SeriesDocument
from datasets.storage.archives.year_counts import YearCounts, count_years
from datasets.views import phrases

# The width of a year's bar in the units of its drawing.
_WIDTH = 1000
# A span of one bar is drawn too.
_NARROWEST = 3


@dataclass(frozen=True, slots=True)
class Year:
    """One year of the archive: its bars, and the parts of the year that fetches have covered.

    Each part is a start and a width, of `_WIDTH`.
    """

    year: int
    bars: str
    range: str
    parts: list[tuple[float, float]]


def years_of(counts: YearCounts) -> list[Year]:
    """Return the years of the archive, newest first."""
    spans = spans_of(counts.document)
    years = []
    for year, n_rows in sorted(counts.n_rows.items(), reverse=True):
        start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        covered = clipped(spans, start, end)
        parts = [
            (place, max(_NARROWEST, _place(last, start, end) - place))
            for place, last in ((_place(first, start, end), last) for first, last in covered)
        ]
        # A span that goes on ends with the year.
        last_day = datetime(year, 12, 31, tzinfo=UTC)
        texts = [f"{first:%b %-d} to {min(last, last_day):%b %-d}" for first, last in covered]
        years.append(Year(year, phrases.bars_in_words(n_rows), ", ".join(texts), parts))
    return years


def _place(moment: datetime, start: datetime, end: datetime) -> float:
    return round((moment - start) / (end - start) * _WIDTH, 1)


def notes_of(document: SeriesDocument) -> list[str]:
    """Return a sentence for each thing that a reader of the bars has to know."""
    notes = [
        f"No fetch has covered the time between {hole.after:%Y-%m-%d %H:%M} and {hole.before:%Y-%m-%d %H:%M} UTC, "
        "because the window had moved on."
        for hole in document.holes
    ]
    notes += [
        f"Bars before {piece.before:%Y-%m-%d %H:%M} UTC come from generation {piece.generation} and are rescaled: "
        f"{_step(piece)}."
        for piece in document.rescaled
    ]
    notes += [
        f"Bars before {piece.before:%Y-%m-%d %H:%M} UTC wait in generation {piece.generation}: they join again, {_step(piece)}, "
        "when a fetch at least an hour after the change confirms it, or when a person accepts the revision."
        for piece in document.awaiting
    ]
    return notes


def _step(piece: OlderBars) -> str:
    basis = piece.basis
    return f"price × {basis.factor:.6g}" + (f" {basis.offset:+.6g}" if basis.offset else "")


def generations_of(document: SeriesDocument) -> list[tuple[int, datetime, str]]:
    """Return number, beginning and cause of each generation, newest first."""
    return [
        (each.number, each.began_at, phrases.generation_in_words(each.finding, each.basis.factor))
        for each in reversed(document.generations)
    ]


def older_in_words(series: Series, max_bars: int) -> str:
    """Return how many bars TradingView would not give any more; `all` for imported ones."""
    return "all" if series.source == IMPORTED else f"{max(0, series.n_rows - max_bars):,}"


def facts_of(series: Series) -> dict[str, str]:
    """Return the facts of a series' row that both the list and the page show."""
    return {
        "full_symbol": series.full_symbol,
        "timeframe": Timeframe(series.timeframe).label,
        "description": series.instrument.get("description", ""),
        "source": phrases.SOURCES.get(series.source, series.source),
        "adjustment": phrases.ADJUSTMENTS[Adjustment(series.adjustment)].lower(),
        "age": phrases.age_in_words(series.fetched_at),
        "bars": f"{series.n_rows:,}",
        "size": phrases.size_in_words(series.bytes),
    }


def archive_facts(found: Series) -> dict[str, Any]:
    """Return what the files of the archive say; `problem` in place of all where they cannot be read."""
    try:
        counts = count_years(folder_of(found.series_key))
    except (StoreError, StoreFailed, StoreUnavailable) as error:
        return {"problem": str(error)}
    document = counts.document
    return {
        "years": years_of(counts),
        "notes": notes_of(document),
        "generations": generations_of(document),
        "files": [
            (entry.name, phrases.bars_in_words(entry.n_rows), phrases.size_in_words(entry.bytes))
            for entry in reversed(document.files)
        ],
    }
