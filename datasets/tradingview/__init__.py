"""How does the service talk to TradingView? It fetches bars, signs in and searches symbols.

The only package that imports tvDatafeed. It uses no Django, no files and no catalog.

`client.FeedClient` fetches bars, `sign_in.sign_in` returns an auth token, and
`symbols.search_symbols` searches. The modules are imported one by one, because tvDatafeed
imports pandas, which only a worker needs.
"""
