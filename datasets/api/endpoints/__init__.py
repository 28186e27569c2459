"""The endpoints under `/api/tv/`: each validates, calls one function, and renders."""

from datasets.api.endpoints.alert_endpoints import AlertViewSet
from datasets.api.endpoints.content_endpoint import ContentViewSet
from datasets.api.endpoints.dataset_endpoints import DatasetViewSet
from datasets.api.endpoints.drawing_endpoint import DrawingViewSet
from datasets.api.endpoints.fetch_endpoints import FetchViewSet
from datasets.api.endpoints.layout_endpoints import LayoutViewSet
from datasets.api.endpoints.live_endpoint import LiveViewSet
from datasets.api.endpoints.ohlc_endpoint import OhlcViewSet
from datasets.api.endpoints.series_endpoints import SeriesViewSet
from datasets.api.endpoints.status_endpoint import StatusViewSet
from datasets.api.endpoints.symbol_endpoint import SymbolViewSet
from datasets.api.endpoints.watchlist_endpoints import WatchlistViewSet

__all__ = [
    "AlertViewSet",
    "ContentViewSet",
    "DatasetViewSet",
    "DrawingViewSet",
    "FetchViewSet",
    "LayoutViewSet",
    "LiveViewSet",
    "OhlcViewSet",
    "SeriesViewSet",
    "StatusViewSet",
    "SymbolViewSet",
    "WatchlistViewSet",
]
