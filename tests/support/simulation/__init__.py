"""Simulated time: a clock that a test holds, the sample feed, and the service's real path between them."""
