"""Archive files: all bars of a series in one file a year, with `series.json` as their one consistent state."""
