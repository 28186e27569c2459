"""Bars as the data folder of LEAN: zip files with CSV, in LEAN's own layout.

The layout and the numbers are those that LEAN's documentation gives for US equities and for crypto:
https://github.com/QuantConnect/Lean/blob/master/Data/equity/readme.md
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
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
    """Names of an instrument in LEAN's folders; `kind` is `equity` or `crypto`."""

    kind: str
    market: str
    symbol: str
    resolution: str

    @property
    def folder(self) -> Path:
        folder = Path(self.kind, self.market, self.resolution)
        return folder / self.symbol if self.resolution == "minute" else folder


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
    frame = require_bars(bars)
    security = _security(bars)
    require_volume(frame, engine="LEAN")
    if security.kind == "equity":
        frame = with_decimals(frame, prices=4, volumes=0, engine="LEAN")
        _refuse_factors(Path(folder), security, str(bars.attrs["adjustment"]))
    lines = _lines(bars, frame, security)
    target = Path(folder) / security.folder
    if security.resolution == "minute":
        names = {f"{date}_trade.zip" for date in lines}
        _refuse_other_days(target, names)
    target.mkdir(parents=True, exist_ok=True)
    return [_write(target, security, date, rows) for date, rows in lines.items()]


def _security(bars: pd.DataFrame) -> _Security:
    facts = {name: str(bars.attrs.get(name, "")) for name in ("exchange", "symbol", "type")}
    resolution = _RESOLUTIONS.get(str(bars.attrs.get("timeframe")))
    if resolution is None:
        message = "LEAN has bars of 1 minute, 1 hour and 1 day, and makes other lengths of these."
        raise InvalidRequest({"timeframe": [message]})
    symbol = facts["symbol"].lower()
    shares = _SHARE_MARKETS.get(find_market(facts["exchange"], facts["type"]) or "")
    coins = _COIN_MARKETS.get(facts["exchange"])
    if facts["type"] in ("stock", "fund", "dr") and shares:
        return _Security("equity", shares, symbol, resolution)
    if facts["type"] in ("spot", "crypto") and coins:
        return _Security("crypto", coins, symbol, resolution)
    message = (
        f"{bars.attrs.get('full_symbol', 'The instrument')} is of the type {facts['type'] or 'unknown'!r}: "
        "LEAN's folders take shares and funds of the USA and India, and coins on "
        f"{', '.join(_COIN_MARKETS)}. LEAN's forex and CFD need bid and ask, which bars do not have."
    )
    raise InvalidRequest({"bars": [message]})


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


def _write(folder: Path, security: _Security, date: str, lines: list[str]) -> Path:
    symbol, suffix = security.symbol, "_trade" if security.kind == "crypto" else ""
    path, entry = folder / f"{symbol}{suffix}.zip", f"{symbol}.csv"
    if date:
        path, entry = folder / f"{date}_trade.zip", f"{date}_{symbol}_minute_trade.csv"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        text = "\n".join([*lines, ""])
        archive.writestr(zipfile.ZipInfo(entry, _EPOCH), text, zipfile.ZIP_DEFLATED)
    put(path, content.getvalue())
    return path


def _refuse_factors(folder: Path, security: _Security, adjustment: str) -> None:
    """Raise `InvalidRequest` where LEAN would adjust prices that are adjusted already."""
    path = folder / "equity" / security.market / "factor_files" / f"{security.symbol}.csv"
    if adjustment == "none" or not path.exists():
        return
    factors: Any = [line.split(",")[1:3] for line in path.read_text().split()]
    if any(float(value) != 1 for row in factors for value in row):
        message = (
            f"The bars are adjusted ({adjustment}), and LEAN would adjust them once more by {path}. "
            "Load them with adjustment='none', or remove that file."
        )
        raise InvalidRequest({"folder": [message]})


def _refuse_other_days(folder: Path, names: set[str]) -> None:
    others = sorted(path.name for path in folder.glob("*_trade.zip") if path.name not in names)
    if others:
        message = (
            f"{folder} has {len(others)} other days, the first in {others[0]}. They may be adjusted "
            "in another way than these bars: remove the folder first."
        )
        raise InvalidRequest({"folder": [message]})
