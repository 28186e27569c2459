"""Every address. No trailing slashes below /api/tv/."""

from django.urls import path, re_path

from datasets import views
from datasets.api import views as api
from datasets.api.exceptions import api_not_found

urlpatterns = [
    path("", views.chart, name="chart"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/tv/ohlc", api.OhlcView.as_view(), name="api-ohlc"),
    path("api/tv/symbols", api.SymbolsView.as_view(), name="api-symbols"),
    path("api/tv/fetches/<int:fetch_id>", api.FetchView.as_view(), name="api-fetch"),
    re_path(r"^api/(?P<path>.*)$", api_not_found),
]
