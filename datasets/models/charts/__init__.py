"""The tables of the chart page."""
