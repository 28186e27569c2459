"""Every address. No trailing slashes below /api/tv/."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from datasets import views
from datasets.api import views as api
from datasets.api.exceptions import api_not_found

router = SimpleRouter(trailing_slash=False)
router.register("ohlc", api.OhlcViewSet, basename="api-ohlc")
router.register("datasets", api.DatasetViewSet, basename="api-dataset")
router.register("fetches", api.FetchViewSet, basename="api-fetch")
router.register("symbols", api.SymbolViewSet, basename="api-symbol")
router.register("status", api.StatusViewSet, basename="api-status")

urlpatterns = [
    path("", views.chart, name="chart"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/tv/", include(router.urls)),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"^api/(?P<path>.*)$", api_not_found),
]
