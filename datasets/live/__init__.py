"""Live bars: one connection for all watched series, its newest state in the catalog, and the replies made from it."""
