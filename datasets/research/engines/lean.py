"""Bars as the data folder of LEAN: zip files with CSV, in LEAN's own layout.

The layout and the numbers are those that LEAN's documentation gives for US equities and for crypto:
https://github.com/QuantConnect/Lean/blob/master/Data/equity/readme.md
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from datasets.bars import PRICE_COLUMNS
from datasets.calendars import find_market
from datasets.errors import InvalidRequest
from datasets.research.engines.engine_bars import require_bars, require_volume
from datasets.research.engines.fixed_decimals import with_decimals
from datasets.research.market_hours import trading_day
from datasets.storage import put

_RESOLUTIONS = {"1": "minute", "1h": "hour", "1D": "daily"}
# LEAN's names of markets, by the market of an exchange's shares, and by the exchange of a coin.
_SHARE_MARKETS = {"XNYS": "usa", "XBOM": "india"}
_COIN_MARKETS = {
    name: name.lower()
    for name in ("BINANCE", "BINANCEUS", "BITFINEX", "BYBIT", "COINBASE", "KRAKEN")
}
# The time in a zip file's list of contents. A fixed one makes the same bytes of the same bars.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Security:
    """An instrument in LEAN's folders; `kind` is `equity` or `crypto`."""

    kind: str
    market: str
    symbol: str
    resolution: str

    @classmethod
    def of(cls, bars: pd.DataFrame) -> Self:
        """Return the security of loaded bars. Raises `InvalidRequest` where LEAN has no folder for it."""
        facts = {name: str(bars.attrs.get(name, "")) for name in ("exchange", "symbol", "type")}
        resolution = _RESOLUTIONS.get(str(bars.attrs.get("timeframe")))
        if resolution is None:
            message = (
                "LEAN has bars of 1 minute, 1 hour and 1 day, and makes other lengths of these."
            )
            raise InvalidRequest({"timeframe": [message]})
        symbol = facts["symbol"].lower()
        shares = _SHARE_MARKETS.get(find_market(facts["exchange"], facts["type"]) or "")
        coins = _COIN_MARKETS.get(facts["exchange"])
        if facts["type"] in ("stock", "fund", "dr") and shares:
            return cls("equity", shares, symbol, resolution)
        if facts["type"] in ("spot", "crypto") and coins:
            return cls("crypto", coins, symbol, resolution)
        message = (
            f"{bars.attrs.get('full_symbol', 'The instrument')} is of the type "
            f"{facts['type'] or 'unknown'!r}: LEAN's folders take shares and funds of the USA and India, "
            f"and coins on {', '.join(_COIN_MARKETS)}. LEAN's forex and CFD need bid and ask, which "
            "bars do not have."
        )
        raise InvalidRequest({"bars": [message]})

    @property
    def folder(self) -> Path:
        folder = Path(self.kind, self.market, self.resolution)
        return folder / self.symbol if self.resolution == "minute" else folder

    def names(self, date: str) -> tuple[str, str]:
        """Return the names of a zip file and of the CSV in it; `date` is "" for hours and days."""
        if date:
            return f"{date}_trade.zip", f"{date}_{self.symbol}_minute_trade.csv"
        return f"{self.symbol}{'_trade' if self.kind == 'crypto' else ''}.zip", f"{self.symbol}.csv"

    def refuse_factors(self, folder: Path, adjustment: str) -> None:
        """Raise `InvalidRequest` where LEAN would adjust prices that are adjusted already."""
        path = folder / "equity" / self.market / "factor_files" / f"{self.symbol}.csv"
        if self.kind != "equity" or adjustment == "none" or not path.exists():
            return
        factors = [line.split(",")[1:3] for line in path.read_text().split()]
        if any(float(value) != 1 for row in factors for value in row):
            message = (
                f"The bars are adjusted ({adjustment}), and LEAN would adjust them once more by {path}. "
                "Load them with adjustment='none', or remove that file."
            )
            raise InvalidRequest({"folder": [message]})


def write_lean(bars: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Write bars to a data folder of LEAN; return the files.

    Parameters
    ----------
    bars
        From `load`, of 1 minute, 1 hour or 1 day: of a share or a fund in the USA or India, or of a
        coin's spot market on an exchange that LEAN has. Each bar has a volume.
    folder
        LEAN's `Data` folder. The hours or days of an earlier export are replaced.

    Returns
    -------
    list of Path
        `equity/usa/daily/aapl.zip`, `crypto/binance/hour/btcusdt_trade.zip`, or for minutes a
        file for each date, `equity/usa/minute/aapl/20250102_trade.zip`. Times are those of the
        exchange's clock for shares, UTC for coins, and the trading date for days. Prices of shares
        are ten-thousandths, with whole shares as volumes; those of coins have all decimals.

    Raises
    ------
    InvalidRequest
        LEAN has no folder for these bars; a volume is missing; four decimals would change a
        price of a share by more than 0.1 %; the folder has adjustments of its own for the share,
        or minutes of other dates, which may be adjusted in another way; or the errors of
        `require_bars`.
    """
    frame, root = require_bars(bars), Path(folder)
    security = _Security.of(bars)
    require_volume(frame, engine="LEAN")
    if security.kind == "equity":
        frame = with_decimals(frame, prices=4, volumes=0, engine="LEAN")
    security.refuse_factors(root, str(bars.attrs["adjustment"]))
    contents, target = _lines(bars, frame, security), root / security.folder
    paths = {target / security.names(date)[0]: date for date in contents}
    others = sorted({*target.glob("*_trade.zip")} - {*paths})
    if security.resolution == "minute" and others:
        message = (
            f"{target} has {len(others)} other days, the first in {others[0].name}. They may be "
            "adjusted in another way than these bars: remove the folder first."
        )
        raise InvalidRequest({"folder": [message]})
    target.mkdir(parents=True, exist_ok=True)
    for path, date in paths.items():
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            entry = zipfile.ZipInfo(security.names(date)[1], _EPOCH)
            archive.writestr(entry, "\n".join([*contents[date], ""]), zipfile.ZIP_DEFLATED)
        put(path, content.getvalue())
    return list(paths)


def _lines(bars: pd.DataFrame, frame: pd.DataFrame, security: _Security) -> dict[str, list[str]]:
    """Return the lines of each file by its date; hours and days are in one file without a date."""
    is_equity = security.kind == "equity"
    zone = ZoneInfo(bars.attrs["timezone"]) if is_equity else ZoneInfo("UTC")
    local = pd.DatetimeIndex(frame.index).tz_convert(zone).tz_localize(None)
    if security.resolution == "daily":
        local = pd.DatetimeIndex(trading_day(bars))
    if security.resolution == "minute":
        begins = ((local - local.normalize()) // pd.Timedelta(milliseconds=1)).astype(str)
        dates = local.strftime("%Y%m%d")
    else:
        begins, dates = local.strftime("%Y%m%d %H:%M"), pd.Index([""] * len(local))
    if is_equity:
        scaled = frame[list(PRICE_COLUMNS)] * 10_000
        values = scaled.assign(volume=frame["volume"]).round().astype("int64").astype(str)
    else:
        values = frame.map(lambda number: np.format_float_positional(number, trim="-"))
    lines: dict[str, list[str]] = {}
    for date, begin, row in zip(dates, begins, values.itertuples(index=False), strict=True):
        lines.setdefault(date, []).append(f"{begin},{','.join(row)}")
    return lines
