"""The addresses of pages and API. Addresses under /api/tv/ have no trailing slash."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from datasets import views
from datasets.api import endpoints
from datasets.api.documentation import DocsView, SchemaView
from datasets.api.exceptions import api_not_found
from datasets.api.reference import error_reference
from datasets.udf.udf_views import UdfViewSet
from datasets.views import dataset_pages, fetch_pages
from datasets.views.grid import grid_page
from datasets.views.incidents import incident_page
from datasets.views.operating.metrics_page import metrics
from datasets.views.operating.status_page import service_status
from datasets.views.people import account_page, audit_page
from datasets.views.series import series_pages
from datasets.views.sign_in_forms import SignInForm
from datasets.views.watchlists import watchlist_pages

router = SimpleRouter(trailing_slash=False)
router.register("ohlc", endpoints.OhlcViewSet, basename="api-ohlc")
router.register("bars", endpoints.ContentViewSet, basename="api-bars")
router.register("datasets", endpoints.DatasetViewSet, basename="api-dataset")
router.register(
    r"series/(?P<pk>[0-9]{1,18})/live", endpoints.LiveViewSet, basename="api-series-live"
)
router.register("series", endpoints.SeriesViewSet, basename="api-series")
router.register("watchlists", endpoints.WatchlistViewSet, basename="api-watchlist")
router.register("alerts", endpoints.AlertViewSet, basename="api-alert")
router.register("layouts", endpoints.LayoutViewSet, basename="api-layout")
router.register("fetches", endpoints.FetchViewSet, basename="api-fetch")
router.register("symbols", endpoints.SymbolViewSet, basename="api-symbol")
router.register("status", endpoints.StatusViewSet, basename="api-status")

# The query names the symbol, which may contain slashes; a router's address has no PUT without an id.
drawings = endpoints.DrawingViewSet.as_view({"get": "retrieve", "put": "update"})
docs = DocsView.as_view(url_name="api-schema")
# A page: with API_ACCESS=login it redirects to the sign-in page instead of answering 401.
docs.login_required = True  # type: ignore[attr-defined]
login = LoginView.as_view(
    template_name="login.html", authentication_form=SignInForm, redirect_authenticated_user=True
)

# The datafeed of TradingView's charting library; no trailing slashes.
udf = [
    path(f"udf/{name}", UdfViewSet.as_view({"get": name}), name=f"udf-{name.replace('_', '-')}")
    for name in ("config", "time", "symbols", "search", "history", "marks", "timescale_marks")
]

urlpatterns = [
    # First, because most requests are for the API and Django tries the patterns in order.
    path("api/tv/", include(router.urls)),
    path("api/tv/drawings", drawings, name="api-drawings"),
    *udf,
    path("widgets.json", UdfViewSet.as_view({"get": "widgets"}), name="udf-widgets"),
    path("", views.chart, name="chart"),
    path("grid/", grid_page.grid, name="grid"),
    path("grid/chart/", grid_page.chart_in_frame, name="chart-in-frame"),
    path("datasets/", dataset_pages.datasets, name="datasets"),
    path("datasets/<int:pk>/", dataset_pages.dataset, name="dataset"),
    path("datasets/<int:pk>/closes.svg", dataset_pages.sparkline, name="sparkline"),
    path("series/", series_pages.series_of_archive, name="series-list"),
    path("series/<int:pk>/", series_pages.series, name="series"),
    path("series/<int:pk>/files/<str:name>", series_pages.series_file, name="series-file"),
    path("watchlists/", watchlist_pages.watchlists, name="watchlists"),
    path("watchlists/add/", watchlist_pages.symbol_form, name="watchlist-symbol"),
    path("watchlists/<int:pk>/", watchlist_pages.watchlist, name="watchlist"),
    path("watchlists/<int:pk>/symbols.txt", watchlist_pages.watchlist_file, name="watchlist-file"),
    path("fetches/", fetch_pages.fetches, name="fetches"),
    path("incidents/", incident_page.incidents, name="incidents"),
    path("status/", service_status, name="status"),
    path("account/", account_page.account, name="account"),
    path("audit/", audit_page.audit, name="audit"),
    path("login/", login, name="login"),
    path("logout/", LogoutView.as_view(next_page="chart"), name="logout"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", docs, name="api-docs"),
    path("api/docs/errors", error_reference, name="api-errors"),
    re_path(r"^api/(?P<path>.*)$", api_not_found),
]
