"""Drawings that users have made over the bars of a symbol."""

from datasets.drawings.drawing_checks import (
    KINDS,
    MOST_DRAWINGS,
    MOST_ID,
    MOST_TEXT,
    check_drawings,
)
from datasets.drawings.kept_drawings import MOST_SYMBOLS, drawings_of, full_symbol, replace_drawings

__all__ = [
    "KINDS",
    "MOST_DRAWINGS",
    "MOST_ID",
    "MOST_SYMBOLS",
    "MOST_TEXT",
    "check_drawings",
    "drawings_of",
    "full_symbol",
    "replace_drawings",
]
