"""The OpenAPI schema, and the page that shows it."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from datasets.api.access import READS


class SchemaView(SpectacularAPIView):
    """The schema."""

    required_scopes = READS


class DocsView(SpectacularSwaggerSplitView):
    """The page of the schema; it loads nothing from another host."""

    required_scopes = READS
