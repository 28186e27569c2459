"""The pages of series: the list, one series, its revisions, and the actions of staff on them."""
