"""Parts of a study that are easily wrong by hand: splits without look-ahead, continuous futures.

docs/research/studies.md shows them beside recipes for returns, currencies and roll dates.
"""

from datasets.research.studies.continuous_futures import continuous
from datasets.research.studies.splits import Split, purged_splits, walk_forward

__all__ = ["Split", "continuous", "purged_splits", "walk_forward"]
