"""Layouts of charts that users save under a name."""

from datasets.layouts.saved_layouts import (
    LINKS,
    MOST_CHARACTERS,
    change_layout,
    page_address,
    save_layout,
)

__all__ = ["LINKS", "MOST_CHARACTERS", "change_layout", "page_address", "save_layout"]
