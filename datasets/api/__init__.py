"""The REST API under `/api/tv/`: it validates, calls one function, and renders."""
