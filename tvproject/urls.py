"""Root of the addresses: the admin's pages, and all others from `datasets`."""

from django.contrib import admin
from django.urls import include, path

handler400 = "datasets.views.error_pages.bad_request"
handler403 = "datasets.views.error_pages.forbidden"
handler404 = "datasets.views.error_pages.not_found"
handler500 = "datasets.views.error_pages.server_error"

urlpatterns = [
    path("", include("datasets.urls")),
    path("admin/", admin.site.urls),
]
