"""The instruments of the feed: real symbols with synthetic prices.

Each line is `symbol | description | price in early 2024 | first day`; missing facts are those
of the exchange. A trailing `key=value` list overrides single facts.
"""

from __future__ import annotations

LISTINGS: dict[str, str] = {
    "BINANCE": """
BTCUSDT|Bitcoin / TetherUS|43000
ETHUSDT|Ethereum / TetherUS|2300
BTCUSDT.P|Bitcoin / TetherUS PERPETUAL CONTRACT|43010|2019-09-08|price_scale=10 kind=swap
ETHUSDT.P|Ethereum / TetherUS PERPETUAL CONTRACT|2301|2019-11-27|kind=swap
SHIBUSDT|SHIBA INU / TetherUS|0.00002|2021-05-10|price_scale=100000000 growth=0 volume_scale=1
BNBUSDT|BNB / TetherUS|310|2017-11-06
SOLUSDT|Solana / TetherUS|100|2020-08-11
XRPUSDT|XRP / TetherUS|0.6|2018-05-04|price_scale=10000
ADAUSDT|Cardano / TetherUS|0.55|2018-04-17|price_scale=10000
DOGEUSDT|Dogecoin / TetherUS|0.09|2019-07-05|price_scale=100000
DOTUSDT|Polkadot / TetherUS|7.5|2020-08-18|price_scale=1000
LINKUSDT|ChainLink / TetherUS|15|2019-01-16
LTCUSDT|Litecoin / TetherUS|70|2017-12-13
AVAXUSDT|Avalanche / TetherUS|36|2020-09-22
TRXUSDT|TRON / TetherUS|0.11|2018-06-11|price_scale=10000
BCHUSDT|Bitcoin Cash / TetherUS|250|2019-11-28
UNIUSDT|Uniswap / TetherUS|6.5|2020-09-17|price_scale=1000
ETHBTC|Ethereum / Bitcoin|0.053|2017-07-14|price_scale=100000 currency=BTC growth=0
PEPEUSDT|Pepe / TetherUS|0.0000012|2023-05-05|price_scale=100000000 growth=0 volume_scale=1
XMRUSDT|Monero / TetherUS|160|2019-03-15|hole_rate=0.3
""",
    "COINBASE": """
BTCUSD|Bitcoin / U.S. dollar|43000
ETHUSD|Ethereum / U.S. dollar|2300|2016-05-18
SOLUSD|Solana / U.S. dollar|100|2021-06-17
LTCUSD|Litecoin / U.S. dollar|70|2016-08-17
XLMUSD|Stellar Lumens / U.S. dollar|0.12|2019-03-13|price_scale=1000000 hole_rate=0.2
""",
    "BITSTAMP": """
BTCUSD|Bitcoin / U.S. dollar|43000||price_scale=1
ETHUSD|Ethereum / U.S. dollar|2300|2017-08-16|price_scale=10
BTCEUR|Bitcoin / Euro|40000|2016-04-16|price_scale=1 currency=EUR
XRPEUR|XRP / Euro|0.55|2017-01-17|price_scale=100000 currency=EUR hole_rate=0.3
""",
    "NASDAQ": """
AAPL|Apple Inc.|190|1980-12-12|splits=2014-06-09:7,2020-08-31:4
MSFT|Microsoft Corporation|390|1986-03-13
NVDA|NVIDIA Corporation|60|1999-01-22|splits=2021-07-20:4,2024-06-10:10 growth=0.3
TSLA|Tesla, Inc.|220|2010-06-29|splits=2020-08-31:5,2022-08-25:3 volatility=0.03
AMZN|Amazon.com, Inc.|155|1997-05-15
GOOGL|Alphabet Inc.|145|2004-08-19
GOOG|Alphabet Inc. (Google) Class C|146|2014-03-27
META|Meta Platforms, Inc.|370|2012-05-18
AVGO|Broadcom Inc.|120|2009-08-06
COST|Costco Wholesale Corporation|680
NFLX|Netflix, Inc.|490|2002-05-23
AMD|Advanced Micro Devices, Inc.|150
INTC|Intel Corporation|47
CSCO|Cisco Systems, Inc.|51|1990-02-16
PEP|PepsiCo, Inc.|170
ADBE|Adobe Inc.|600
QCOM|QUALCOMM Incorporated|145|1991-12-13
TXN|Texas Instruments Incorporated|168
AMGN|Amgen Inc.|300
SBUX|Starbucks Corporation|94|1992-06-26
PYPL|PayPal Holdings, Inc.|61|2015-07-06
QQQ|Invesco QQQ Trust, Series 1|410|1999-03-10|kind=fund typespecs=etf
GGAL|Grupo Financiero Galicia S.A.|17|2000-07-25|kind=dr
MU|Micron Technology, Inc.|85
""",
    "NYSE": """
BRK.B|Berkshire Hathaway Inc. New|370|1996-05-09
BRK.A|Berkshire Hathaway Inc.|555000||hole_rate=0.4
JPM|JP Morgan Chase & Co.|172
V|Visa Inc.|262|2008-03-19
MA|Mastercard Incorporated|430|2006-05-25
WMT|Walmart Inc.|54
JNJ|Johnson & Johnson|158|1962-01-02
PG|Procter & Gamble Company (The)|148
KO|Coca-Cola Company (The)|60|1962-01-02
XOM|Exxon Mobil Corporation|102
CVX|Chevron Corporation|148
HD|Home Depot, Inc. (The)|350|1981-09-22
DIS|Walt Disney Company (The)|92|1962-01-02
BA|Boeing Company (The)|215|1962-01-02
IBM|International Business Machines Corporation|165|1962-01-02
GE|GE Aerospace|105|1962-01-02
T|AT&T Inc.|17|1983-11-21
PFE|Pfizer, Inc.|28
NKE|Nike, Inc.|102
WTI|W&T Offshore, Inc.|3.1|2005-01-28
GS|Goldman Sachs Group, Inc. (The)|385|1999-05-04
MCD|McDonald's Corporation|295
""",
    "AMEX": """
SPY|SPDR S&P 500 ETF Trust|475|1993-01-29
GLD|SPDR Gold Trust|189
IWM|iShares Russell 2000 ETF|195
XLF|Financial Select Sector SPDR Fund|38
XLE|Energy Select Sector SPDR Fund|83
EEM|iShares MSCI Emerging Markets ETF|39
""",
    "NSE": """
RELIANCE|RELIANCE INDUSTRIES LTD|2600
M_M|MAHINDRA & MAHINDRA LTD|1650
M&M|MAHINDRA & MAHINDRA LTD|1650
TCS|TATA CONSULTANCY SERV LT|3800|2004-08-25
INFY|INFOSYS LTD|1550
HDFCBANK|HDFC BANK LTD|1650
ICICIBANK|ICICI BANK LTD.|1000|1997-09-17
SBIN|STATE BANK OF INDIA|620
EICHERMOT|EICHER MOTORS LTD|3900
ITC|ITC LTD|460
BAJAJ_AUTO|BAJAJ AUTO LIMITED|7000|2008-05-26
JUNIPER|JUNIPER HOTELS LIMITED|390|2024-02-28|hole_rate=0.3
NIFTY|NIFTY 50 INDEX|21700|1990-07-03|kind=index has_volume=0
BANKNIFTY|NIFTY BANK INDEX|47500|2000-01-03|kind=index has_volume=0
""",
    "HOSE": """
VCB|JOINT STOCK COMMERCIAL BANK FOR FOREIGN TRADE OF VIET NAM|88000
FPT|FPT CORPORATION|96000
VNM|VIETNAM DAIRY PRODUCTS JSC|68000
HPG|HOA PHAT GROUP JSC|27500
""",
    "TSE": """
7203|TOYOTA MOTOR CORP|2700
6758|SONY GROUP CORPORATION|13500
9984|SOFTBANK GROUP CORP|6300
4063|SHIN-ETSU CHEMICAL CO|5800
""",
    "LSE": """
VOD|VODAFONE GROUP PLC ORD USD0.20 20/21|68
AV.|AVIVA PLC ORD 32 17/19P|430
BP.|BP PLC ORD $0.25|465
HSBA|HSBC HOLDINGS PLC ORD $0.50 (UK REG)|630
""",
    "XETR": """
SAP|SAP SE|140
SIE|SIEMENS AG|165
BMW|BAYERISCHE MOTOREN WERKE AG|98
DAX|DAX PERFORMANCE INDEX|16700|1999-01-04|kind=index
""",
    "FX_IDC": """
EURUSD|EURO / U.S. DOLLAR|1.09
GBPUSD|BRITISH POUND / U.S. DOLLAR|1.27
USDJPY|U.S. DOLLAR / JAPANESE YEN|145||price_scale=1000 currency=JPY
USDCHF|U.S. DOLLAR / SWISS FRANC|0.86||currency=CHF
AUDUSD|AUSTRALIAN DOLLAR / U.S. DOLLAR|0.66
USDCAD|U.S. DOLLAR / CANADIAN DOLLAR|1.34||currency=CAD
EURGBP|EURO / BRITISH POUND|0.86||currency=GBP
USDINR|U.S. DOLLAR / INDIAN RUPEE|83.1||price_scale=10000 currency=INR
USDTRY|U.S. DOLLAR / TURKISH LIRA|30||price_scale=10000 currency=TRY hole_rate=0.1
""",
    "OANDA": """
XAUUSD|GOLD / U.S. DOLLAR|2050||price_scale=1000 kind=commodity market=futures
XAGUSD|SILVER / U.S. DOLLAR|23||kind=commodity market=futures
EURUSD|EURO / U.S. DOLLAR|1.09
GBPUSD|BRITISH POUND / U.S. DOLLAR|1.27
""",
    "TVC": """
DXY|U.S. DOLLAR CURRENCY INDEX|102
SPX|S&P 500 INDEX|4750||market=us_indices price_scale=100 growth=0.07
NDX|NASDAQ 100 INDEX|16700|1985-10-01|market=us_indices price_scale=100 growth=0.1
RUT|RUSSELL 2000 INDEX|2000|1987-09-10|market=us_indices growth=0.05
VIX|VOLATILITY S&P 500 INDEX|14|1990-01-02|market=us_indices price_scale=100 volatility=0.06
DE10Y|GERMANY 10 YEAR GOVERNMENT BOND YIELD|2.1|1980-01-02|kind=bond volatility=0.015
US10Y|UNITED STATES 10 YEAR GOVERNMENT BOND YIELD|4.0|1962-01-02|kind=bond volatility=0.015
GOLD|CFDs ON GOLD (US$ / OZ)|2050||kind=cfd
USOIL|CFDs ON CRUDE OIL (WTI)|73|1983-03-30|kind=cfd
""",
    "SP": "SPX|S&P 500 INDEX|4750",
    "INDEX": "NDFI|S&P 500 FINANCIALS STOCKS ABOVE 50-DAY AVERAGE|55",
    "CME_MINI": """
ES1!|E-MINI S&P 500 FUTURES|4750
ES2!|E-MINI S&P 500 FUTURES|4800
NQ1!|E-MINI NASDAQ-100 FUTURES|16800|1999-06-21
NQ2!|E-MINI NASDAQ-100 FUTURES|17000|1999-06-21
RTY1!|E-MINI RUSSELL 2000 INDEX FUTURES|2010|2017-07-10|price_scale=10 minimum_move=1
""",
    "COMEX": """
GC1!|GOLD FUTURES|2050
SI1!|SILVER FUTURES|23||price_scale=1000 minimum_move=5
HG1!|COPPER FUTURES|3.85||price_scale=10000 minimum_move=5
""",
    "NYMEX": """
CL1!|CRUDE OIL FUTURES|72
NG1!|NATURAL GAS FUTURES|2.6|1990-04-03|price_scale=1000 volatility=0.03
CL2!|CRUDE OIL FUTURES|72.3
""",
    "ECONOMICS": """
USM2|UNITED STATES MONEY SUPPLY M2|20800
USGDP|UNITED STATES GDP|27000
""",
}
