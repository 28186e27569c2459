"""Work on many rows and files: in the order of an index, in pages, in several processes."""
