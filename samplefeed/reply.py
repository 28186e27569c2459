"""The answer to one request for bars, message by message."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from samplefeed.clock import Clock
from samplefeed.frames import message, numbers
from samplefeed.rendering import RenderedBars

NODE = "sample-charts-free-1-series-1"
SERVER = "sample-charts-free-1-tvbs-1@sample-charts-free-1-tvbs-1"
NO_BARS = RenderedBars(b"", b"", b"", 0)


@dataclass(frozen=True)
class Address:
    """The ids chosen by the client; every message of the answer repeats them."""

    chart: str
    series: str
    turnaround: str
    symbol: str


@dataclass(frozen=True)
class Reply:
    """The content of the answer; each method returns a payload or several."""

    address: Address
    clock: Clock
    facts: dict[str, Any] | None = None  # of symbol_resolved, if it has not been sent
    bars: RenderedBars = NO_BARS
    close_at: int | None = None
    mode: str = "streaming"
    is_limited: bool = False
    n_older: int = 0  # number of bars that request_more_data added before the known ones
    quotes: list[bytes] = field(default_factory=list)

    def payloads(self) -> list[bytes]:
        """Return the whole answer in TradingView's order."""
        return [*self.opening(), *self.quotes, *self.updates(), self.completed()]

    def opening(self) -> list[bytes]:
        """Return the payloads before the bars."""
        return [self.loading(), *([] if self.facts is None else [self.resolved()])]

    def updates(self) -> list[bytes]:
        """Return the message with bars, or no message for a reply without bars."""
        return [self.update()] if self.bars.n_bars else []

    def message(self, method: str, *parameters: Any) -> bytes:
        """Return any message of this chart session."""
        return message(method, [self.address.chart, *parameters], self.clock.stamps())

    def loading(self) -> bytes:
        """Return `series_loading`."""
        return self.message("series_loading", self.address.series, self.address.turnaround)

    def resolved(self) -> bytes:
        """Return `symbol_resolved`."""
        return self.message("symbol_resolved", self.address.symbol, self.facts or {})

    def update(self) -> bytes:
        """Return the `timescale_update` with the bars and their marks."""
        index_diff = [{"old": 0, "new": self.n_older}] if self.n_older else []
        last = self.bars.n_bars - 1
        switches = b',"last_session_switches":%b' % numbers({self.address.series: {"market": last}})
        scale = b',{"index":0,"zoffset":0,"changes":[%b],"marks":[%b],"index_diff":%b%b}' % (
            self.bars.changes,
            self.bars.marks,
            numbers(index_diff),
            switches if self.bars.n_bars else b"",
        )
        return self._shaped("timescale_update", self._series(), scale)

    def empty_update(self) -> bytes:
        """Return a `timescale_update` of the series without bars."""
        return replace(self, bars=NO_BARS, close_at=None).update()

    def live_update(self) -> bytes:
        """Return the bars as a `du`, the message for bars after completion."""
        return self._shaped("du", self._series(indexes=b'"nochange"'), b"")

    def completed(self) -> bytes:
        """Return `series_completed`."""
        notes: dict[str, Any] = {"rt_update_period": 5}
        if self.is_limited:
            notes["data_completed"] = "limit"
        address = self.address
        return self.message(
            "series_completed", address.series, self.mode, address.turnaround, notes
        )

    def symbol_error(self, *reason: str) -> bytes:
        """Return `symbol_error`."""
        return self.message("symbol_error", self.address.symbol, *reason)

    def series_error(self, reason: str, server: str = SERVER) -> bytes:
        """Return `series_error`."""
        address = self.address
        return self.message("series_error", address.series, address.turnaround, reason, server)

    def with_rows(self, rows: list[Any], first_index: int = 0) -> Reply:
        """Return the reply with other bars: lists of any JSON values."""
        listed = [{"i": first_index + n, "v": row} for n, row in enumerate(rows)]
        times = [row[0] for row in rows]
        marks = [[40, int(row[0]), first_index + n] for n, row in enumerate(rows)]
        rendered, changes, ticks = (numbers(part)[1:-1] for part in (listed, times, marks))
        return replace(self, bars=RenderedBars(rendered, changes, ticks, len(rows)))

    def _series(self, indexes: bytes = b"[]") -> bytes:
        status = b""
        if self.close_at is not None:
            status = b',"lbs":{"bar_close_time":%d}' % self.close_at
        return b'{"node":%b,"s":[%b],"ns":{"d":"","indexes":%b},"t":%b%b}' % (
            numbers(NODE),
            self.bars.rows,
            indexes,
            numbers(self.address.turnaround),
            status,
        )

    def _shaped(self, method: str, series: bytes, scale: bytes) -> bytes:
        # Joined without an encoder: the long parts are already bytes of JSON.
        address, stamps = self.address, self.clock.stamps()
        return b'{"m":"%b","p":[%b,{%b:%b}%b],"t":%d,"t_ms":%d}' % (
            method.encode(),
            numbers(address.chart),
            numbers(address.series),
            series,
            scale,
            stamps["t"],
            stamps["t_ms"],
        )
