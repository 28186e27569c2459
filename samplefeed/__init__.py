"""A small server that speaks TradingView's chart protocol with synthetic bars and faults."""
