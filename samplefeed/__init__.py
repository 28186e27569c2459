"""A small server of TradingView's chart protocol, with synthetic bars and, on request, faults."""
