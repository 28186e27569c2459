"""Bars of a series' archive in a notebook or a backtest."""
