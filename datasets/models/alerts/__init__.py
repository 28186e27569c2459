"""The table of price alerts."""
