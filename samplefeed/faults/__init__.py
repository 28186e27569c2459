"""All faults of the feed, by name and by level."""

from __future__ import annotations

from samplefeed.faults import answers, bars, framing, lies, refusals, transport
from samplefeed.faults.bars import altered_rows
from samplefeed.faults.registry import CONVERSATION, FAULTS, LIVE, UPGRADE, Fault, Talk, run_fault

CONVERSATION_FAULTS = {name for name, fault in FAULTS.items() if fault.level == CONVERSATION}
LIVE_FAULTS = {name for name, fault in FAULTS.items() if fault.level == LIVE}
UPGRADE_FAULTS = {name for name, fault in FAULTS.items() if fault.level == UPGRADE}

__all__ = [
    "CONVERSATION_FAULTS",
    "FAULTS",
    "LIVE_FAULTS",
    "UPGRADE_FAULTS",
    "Fault",
    "Talk",
    "altered_rows",
    "answers",
    "bars",
    "framing",
    "lies",
    "refusals",
    "run_fault",
    "transport",
]
