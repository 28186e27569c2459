"""`make bench`: each comparison measures both sides in one run and gives medians and ratios."""
