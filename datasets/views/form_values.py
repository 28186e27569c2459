"""Values that a page's form sends back."""

from __future__ import annotations


def primary_key(text: str) -> int:
    """Return the primary key that the text spells; 0, which no row has, for any other text.

    A key is below 10**18: databases refuse larger numbers.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
