"""Live updates: the bars that the chart socket sends after a complete reply."""
