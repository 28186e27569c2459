"""The page with one, two or four charts in frames, and the chart page as it stands in a frame."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from datasets.views.chart_page import chart, imported_scripts
from datasets.views.grid.layout_links import layout_links


@require_safe
def grid(request: HttpRequest) -> HttpResponse:
    """Show the frames of the charts that the address names; the page's script makes them."""
    context = {
        "modules": imported_scripts("grid/main.js"),
        "layouts": layout_links(request.user),
    }
    return render(request, "grid.html", context)


@require_safe
@xframe_options_sameorigin
def chart_in_frame(request: HttpRequest) -> HttpResponse:
    """Show the chart page without the parts that the page around the frame has."""
    return chart(request, is_framed=True)
