"""Import of bars from elsewhere: a CSV or parquet file, checked line by line, merged as the source `imported`."""
