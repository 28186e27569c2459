"""Watchlists: symbols that the service keeps up to date, their series, and how fresh these are."""
