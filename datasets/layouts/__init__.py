"""Layouts of charts that users save under a name."""

from datasets.layouts.saved_layouts import (
    MOST_CHARACTERS,
    change_layout,
    page_address,
    save_layout,
)

__all__ = ["MOST_CHARACTERS", "change_layout", "page_address", "save_layout"]
