"""The tables of live bars."""
