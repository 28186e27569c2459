"""The page with several charts."""
