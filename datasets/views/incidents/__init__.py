"""The page of incidents, and the hint that one is open."""
