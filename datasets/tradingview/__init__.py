"""The only package that knows tvDatafeed and what TradingView sends.

`client.py` fetches bars, `signin.py` gets a token, `symbols.py` searches. Knows no Django,
no files and no catalog.
"""
