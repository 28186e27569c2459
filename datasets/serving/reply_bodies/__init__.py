"""Bodies of replies with bars: rendered once for each content and representation, then cached."""
