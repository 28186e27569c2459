"""The dataset whose file holds the bars with a given content hash."""

from __future__ import annotations

from datasets.errors import DatasetNotFound
from datasets.models import Dataset
from datasets.serving.candidates import is_on_disk
from datasets.serving.trust import Trusted

_trusted: Trusted[str, Dataset] = Trusted()


def find_content(content_hash: str) -> Dataset:
    """Return a ready dataset with these bars; it is trusted for `WEB_TRUST_MS`, as `find_cached` does.

    Datasets of several keys can hold equal bars. Any of them answers, because the reply holds
    nothing but the bars.

    Raises
    ------
    DatasetNotFound
        No ready dataset holds these bars.
    """

    def choose() -> Dataset | None:
        holders = Dataset.objects.filter(content_hash=content_hash, state=Dataset.State.READY)
        # `is_on_disk` corrects the row of a file that somebody replaced: then the hash is another.
        whole = (each for each in holders.order_by("pk") if is_on_disk(each))
        return next((each for each in whole if each.content_hash == content_hash), None)

    found = _trusted.get(content_hash, choose)
    if found is None:
        raise DatasetNotFound(
            f"No ready dataset holds the bars {content_hash[:12]}…. A fetch may have replaced them, or their dataset was "
            "invalidated or deleted. Ask /api/tv/ohlc again: its reply names the address of the present bars."
        )
    return found
