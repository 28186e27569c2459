"""Every address. No trailing slashes below /api/tv/."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from datasets import views
from datasets.api import views as api
from datasets.api.documentation import DocsView, SchemaView
from datasets.api.exceptions import api_not_found
from datasets.api.reference import error_reference
from datasets.views import dataset_pages, fetch_pages
from datasets.views.sign_in_forms import SignInForm

router = SimpleRouter(trailing_slash=False)
router.register("ohlc", api.OhlcViewSet, basename="api-ohlc")
router.register("datasets", api.DatasetViewSet, basename="api-dataset")
router.register("fetches", api.FetchViewSet, basename="api-fetch")
router.register("symbols", api.SymbolViewSet, basename="api-symbol")
router.register("status", api.StatusViewSet, basename="api-status")

docs = DocsView.as_view(url_name="api-schema")
# A page, not a call: with API_ACCESS=login a stranger is led to the sign-in page.
docs.login_required = True  # type: ignore[attr-defined]
login = LoginView.as_view(
    template_name="login.html", authentication_form=SignInForm, redirect_authenticated_user=True
)

urlpatterns = [
    # First, as most requests are for it.
    path("api/tv/", include(router.urls)),
    path("", views.chart, name="chart"),
    path("datasets/", dataset_pages.datasets, name="datasets"),
    path("datasets/<int:pk>/", dataset_pages.dataset, name="dataset"),
    path("datasets/<int:pk>/closes.svg", dataset_pages.sparkline, name="sparkline"),
    path("fetches/", fetch_pages.fetches, name="fetches"),
    path("login/", login, name="login"),
    path("logout/", LogoutView.as_view(next_page="chart"), name="logout"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", docs, name="api-docs"),
    path("api/docs/errors", error_reference, name="api-errors"),
    re_path(r"^api/(?P<path>.*)$", api_not_found),
]
