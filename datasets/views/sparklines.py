"""A small SVG of each dataset's closes, drawn once for each content hash."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datasets import catalog
from datasets.models import Dataset
from datasets.serving.reply_bodies.body_cache import Rendered, rendered_cache

WIDTH, HEIGHT = 120, 32
_N_POINTS = 60
_MARGIN = 2
# Both colours have a contrast of 3:1 or more on the light page and on the dark page: an image
# cannot follow the page's theme.
_UP, _DOWN = "#15917f", "#d9484a"

drawn = rendered_cache(4 * 1024 * 1024)


def sparkline(dataset: Dataset) -> Rendered:
    """Return an SVG of the closes from the oldest bar to the newest.

    Raises `StoreError` when the cache has no drawing of this content and the file cannot be read.
    """

    key = dataset.content_hash.encode()
    found = drawn.find(key)
    if found is None:
        closes = catalog.read(dataset)["close"].to_numpy()
        etag = f'"{dataset.content_hash[:32]}-line"'
        found = Rendered(svg(closes).encode(), etag, is_gzip=False)
        drawn.keep(key, found)
    return found


def svg(closes: npt.NDArray[np.float64]) -> str:
    """Return the drawing of these closes, of shape (n,), n ≥ 1; equal prices give a line in the middle."""
    # The points include the last close, so that the line ends at the newest price.
    at = np.unique(np.linspace(0, len(closes) - 1, min(_N_POINTS, len(closes))).round().astype(int))
    values = closes[at]
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    across = np.linspace(_MARGIN, WIDTH - _MARGIN, max(len(values), 2))
    down = HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)
    if len(values) == 1:
        down = np.repeat(down, 2)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    stroke = _UP if values[-1] >= values[0] else _DOWN
    foot = f"{WIDTH - _MARGIN},{HEIGHT} {_MARGIN},{HEIGHT}"
    return (
        # The page of a dataset stretches the image where there are no scripts; the line stays thin.
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" preserveAspectRatio="none">'
        f'<polygon points="{line} {foot}" fill="{stroke}" fill-opacity=".14"/>'
        f'<polyline points="{line}" fill="none" stroke="{stroke}" stroke-width="1.5" stroke-linejoin="round" vector-effect="non-scaling-stroke"/></svg>'
    )
