"""The look of the admin site, its start page and its sign-in form."""

from __future__ import annotations

from django.contrib import admin

from datasets.views.sign_in_forms import AdminSignInForm

admin.site.site_header = "TradingView datasets"
admin.site.site_title = "TradingView datasets"
admin.site.index_title = "Catalog"
# The lists are wide, and a handful of models need no navigation.
admin.site.enable_nav_sidebar = False
admin.site.index_template = "admin/catalog_index.html"
admin.site.login_form = AdminSignInForm
