"""`make bench`: both sides of every comparison in one run, medians and ratios."""
