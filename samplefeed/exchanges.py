"""Facts shared by the instruments of an exchange."""

from __future__ import annotations

from typing import Any

# `price_scale` and `minimum_move` are TradingView's
# pricescale and minmov: a price is a whole number of `minimum_move / price_scale`.
EXCHANGES: dict[str, dict[str, Any]] = {
    "BINANCE": {
        "market": "crypto", "kind": "spot", "typespecs": ("crypto",), "display": "Binance",
        "provider": "binance", "currency": "USDT", "start": "2017-08-17", "volatility": 0.035,
        "growth": 0.25, "volume_scale": 100_000,
    },
    "COINBASE": {
        "market": "crypto", "kind": "spot", "typespecs": ("crypto",), "display": "Coinbase",
        "provider": "coinbase", "currency": "USD", "start": "2015-01-14", "volatility": 0.035,
        "growth": 0.25, "volume_scale": 100_000,
    },
    "BITSTAMP": {
        "market": "crypto", "kind": "spot", "typespecs": ("crypto",), "display": "Bitstamp",
        "provider": "bitstamp", "currency": "USD", "start": "2011-08-18", "volatility": 0.035,
        "growth": 0.25, "volume_scale": 100_000, "country": "LU",
    },
    "LOAD": {
        "market": "crypto", "kind": "spot", "typespecs": ("crypto",), "display": "Load",
        "provider": "load", "currency": "USD", "start": "2015-01-01", "volatility": 0.03,
        "growth": 0.1, "volume_scale": 100_000,
    },
    "FAULT": {
        "market": "crypto", "kind": "spot", "typespecs": ("crypto",), "display": "Fault",
        "provider": "fault", "currency": "USD", "start": "2015-01-01", "volatility": 0.03,
        "growth": 0.1, "volume_scale": 100_000,
    },
    "NASDAQ": {
        "market": "us_stocks", "kind": "stock", "typespecs": ("common",), "display": "Cboe One",
        "provider": "ice", "currency": "USD", "feed": "BATS", "country": "US", "growth": 0.13,
        "start": "1990-01-02", "source_name": "Nasdaq Stock Market",
    },
    "NYSE": {
        "market": "us_stocks", "kind": "stock", "typespecs": ("common",), "display": "Cboe One",
        "provider": "ice", "currency": "USD", "feed": "BATS", "country": "US", "growth": 0.07,
        "start": "1980-01-02", "source_name": "New York Stock Exchange", "volatility": 0.016,
    },
    "AMEX": {
        "market": "us_stocks", "kind": "fund", "typespecs": ("etf",), "display": "Cboe One",
        "provider": "ice", "currency": "USD", "feed": "BATS", "country": "US", "growth": 0.07,
        "start": "2004-11-18", "source_name": "NYSE Arca", "volatility": 0.011,
    },
    "NSE": {
        "market": "nse", "kind": "stock", "typespecs": ("common",), "display": "NSE",
        "provider": "ice", "currency": "INR", "country": "IN", "growth": 0.12,
        "start": "1996-01-01", "minimum_move": 5,
    },
    "HOSE": {
        "market": "hose", "kind": "stock", "typespecs": ("common",), "display": "HOSE",
        "provider": "ice", "currency": "VND", "country": "VN", "feed": "HOSE_DLY",
        "delay": 900, "price_scale": 1, "minimum_move": 100, "start": "2009-06-30",
    },
    "TSE": {
        "market": "tokyo", "kind": "stock", "typespecs": ("common",), "display": "TSE",
        "provider": "ice", "currency": "JPY", "country": "JP", "feed": "TSE_DLY",
        "delay": 1200, "price_scale": 1, "start": "1990-01-04",
    },
    "LSE": {
        "market": "london", "kind": "stock", "typespecs": ("common",), "display": "LSE",
        "provider": "ice", "currency": "GBX", "country": "GB", "feed": "LSE_DLY",
        "delay": 900, "start": "1988-01-04",
    },
    "XETR": {
        "market": "xetra", "kind": "stock", "typespecs": ("common",), "display": "XETR",
        "provider": "ice", "currency": "EUR", "country": "DE", "feed": "XETR_DLY",
        "delay": 900, "start": "1999-01-04",
    },
    "FX_IDC": {
        "market": "forex", "kind": "forex", "display": "ICE", "provider": "ice",
        "price_scale": 100_000, "has_volume": False, "volatility": 0.005, "growth": 0.0,
        "start": "1973-01-02", "currency": "USD",
    },
    "OANDA": {
        "market": "forex", "kind": "forex", "display": "OANDA", "provider": "oanda",
        "price_scale": 100_000, "volatility": 0.005, "growth": 0.0, "start": "2005-01-03",
        "currency": "USD",
    },
    "TVC": {
        "market": "futures", "kind": "index", "display": "TVC", "provider": "tvc",
        "currency": "USD", "has_volume": False, "volatility": 0.008, "growth": 0.01,
        "start": "1971-01-04", "price_scale": 1000,
    },
    "SP": {
        "market": "us_indices", "kind": "index", "display": "Cboe One", "provider": "ice",
        "currency": "USD", "country": "US", "has_volume": False, "volatility": 0.01,
        "growth": 0.07, "start": "1950-01-03",
    },
    "INDEX": {
        "market": "us_indices", "kind": "index", "display": "INDEX", "provider": "ice",
        "currency": "USD", "country": "US", "has_volume": False, "volatility": 0.02,
        "growth": 0.0, "start": "2002-01-02", "is_daily_only": True,
    },
    "CME_MINI": {
        "market": "futures", "kind": "futures", "display": "CME", "provider": "ice",
        "currency": "USD", "country": "US", "minimum_move": 25, "volatility": 0.011,
        "start": "1997-09-09", "growth": 0.07,
    },
    "COMEX": {
        "market": "futures", "kind": "futures", "display": "COMEX", "provider": "ice",
        "currency": "USD", "country": "US", "price_scale": 10, "start": "1974-12-31",
    },
    "NYMEX": {
        "market": "futures", "kind": "futures", "display": "NYMEX", "provider": "ice",
        "currency": "USD", "country": "US", "volatility": 0.02, "start": "1983-03-30",
    },
    "ECONOMICS": {
        "market": "us_indices", "kind": "economic", "display": "ECONOMICS",
        "provider": "economics", "currency": "USD", "country": "US", "has_volume": False,
        "is_daily_only": True, "denied_group": "economics_paid", "start": "1960-01-04",
    },
}  # fmt: skip
