"""The pages of watchlists: all lists, one list with its series, and the form that adds a symbol."""
