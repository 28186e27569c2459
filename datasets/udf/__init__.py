"""TradingView's UDF datafeed under `/udf/`, for Advanced Charts and OpenBB Workspace."""
