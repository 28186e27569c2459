"""Work on many rows: in the order of an index, and in pages."""
