"""Server side of one chart socket: a method for each message of the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from samplefeed import replies
from samplefeed.channel import Channel
from samplefeed.control import ArmedFault
from samplefeed.faults import CONVERSATION_FAULTS, LIVE_FAULTS, Talk, run_fault
from samplefeed.feed import Feed
from samplefeed.frames import WrongData, message, parse, split
from samplefeed.greeting import hello
from samplefeed.quotes import Quotes
from samplefeed.reply import Address, Reply
from samplefeed.sessions import SESSIONS, ChartSession, Resolution, Series, read_symbol
from samplefeed.timeframes import parse_timeframe
from samplefeed.tokens import is_accepted

MOST_CHART_SESSIONS = 200
# Seconds until a symbol is answered alone. Usually the request for its series arrives first.
_SYMBOL_PATIENCE_SECONDS = 0.2


class Conversation:
    """One connection, from the hello to the close."""

    def __init__(self, feed: Feed, channel: Channel) -> None:
        self.feed = feed
        self.channel = channel
        self.charts: dict[str, ChartSession] = {}
        self.quotes = Quotes(feed, channel)
        self.heartbeat_answered_at = time.monotonic()
        self._n_charts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a background task that ends with the connection."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Cancel all background tasks."""
        for task in list(self._tasks):
            task.cancel()

    async def greet(self) -> None:
        """Send the first message."""
        await self.channel.send(hello(self.feed.clock))

    async def hear(self, text: str) -> None:
        """Answer one message of the client."""
        try:
            payloads = split(text)
            beats = [payload for payload in payloads if payload.startswith("~h~")]
            if beats:
                self.feed.stats.heartbeats_answered += len(beats)
                self.heartbeat_answered_at = time.monotonic()
            messages = [parse(payload) for payload in payloads if not payload.startswith("~h~")]
        except WrongData:
            await self.refuse("wrong data")
            return
        for method, parameters in messages:
            self.feed.stats.messages[method] += 1
            handler = _HANDLERS.get(method)
            if handler is not None and not self.channel.is_muted:
                await handler(self, parameters)

    async def refuse(self, reason: str) -> None:
        """Send a `protocol_error` and close, as TradingView does."""
        await self.channel.send(message("protocol_error", [reason]))
        await self.channel.close()

    # --- the messages -----------------------------------------------------------------

    async def set_auth_token(self, parameters: list[Any]) -> None:
        """Store the auth token; refuse a bad one."""
        token = parameters[0] if parameters else None
        self.feed.stats.tokens.append(str(token))
        if not is_accepted(token):
            await self.refuse("bad auth token")

    async def chart_create_session(self, parameters: list[Any]) -> None:
        """Create a chart session."""
        self._n_charts += 1
        if self._n_charts > MOST_CHART_SESSIONS:
            await self.refuse("max sessions rate reached")
        elif parameters:
            self.charts[str(parameters[0])] = ChartSession()

    async def chart_delete_session(self, parameters: list[Any]) -> None:
        """Delete a chart session."""
        if parameters:
            self.charts.pop(str(parameters[0]), None)

    async def switch_timezone(self, parameters: list[Any]) -> None:
        """Set the time zone of a chart session."""
        chart = await self._chart("switch_timezone", parameters, 2)
        if chart is None:
            return
        zone = str(parameters[1])
        if zone == "exchange" or zone in _timezones():
            chart.timezone = zone
            return
        await self._critical(parameters[0], "invalid timezone", "switch_timezone", parameters[1:])

    async def resolve_symbol(self, parameters: list[Any]) -> None:
        """Find the listing of a symbol; its answer waits for the series."""
        chart = await self._chart("resolve_symbol", parameters, 3)
        if chart is None:
            return
        asked = read_symbol(parameters[2])
        self.feed.stats.resolve_payloads.append(asked)
        name = str(asked.get("symbol", ""))
        resolution = Resolution(str(parameters[1]), name, self.feed.find(name))
        resolution.session = str(asked.get("session", "regular"))
        resolution.adjustment = str(asked.get("adjustment", "splits"))
        if resolution.session not in SESSIONS:
            resolution.listing = None
        chart.symbols[resolution.symbol_id] = resolution
        self.start(self._answer_symbol_later(str(parameters[0]), resolution))

    async def _answer_symbol_later(self, chart_id: str, resolution: Resolution) -> None:
        await asyncio.sleep(_SYMBOL_PATIENCE_SECONDS)
        if resolution.is_answered or self.channel.is_muted:
            return
        resolution.is_answered = True
        address = Address(chart_id, "", "", resolution.symbol_id)
        await self.channel.send(replies.symbol_answer(self.feed, address, resolution))

    async def create_series(self, parameters: list[Any]) -> None:
        """Answer with the newest bars of a series."""
        self.feed.stats.conversations += 1
        self.feed.stats.create_series_at.append(time.time())
        chart = await self._chart("create_series", parameters, 6)
        if chart is None:
            return
        chart_id, series_id, turnaround, symbol_id, timeframe, count = parameters[:6]
        resolution = chart.symbols.get(symbol_id)
        n_bars = replies.read_count(count)
        is_timeframe = parse_timeframe(str(timeframe)) is not None
        if resolution is None or n_bars is None or not is_timeframe:
            await self._critical(
                chart_id, "invalid parameters", "create_series", ["$prices", *parameters[1:6]]
            )
            return
        self.feed.stats.symbols[resolution.asked_for] += 1
        if self.feed.is_away(resolution.asked_for):
            self.channel.cut()
            return
        address = Address(str(chart_id), str(series_id), str(turnaround), str(symbol_id))
        if await self._is_one_too_many(chart, address, parameters[1:6]):
            return
        refusal = replies.refusal(self.feed, address, resolution, str(timeframe))
        if refusal is not None:
            await self._send_all(refusal)
            return
        series = replies.new_series(self.feed, address, resolution, str(timeframe), n_bars)
        chart.series[series.series_id] = series
        span = replies.read_range(parameters[6] if len(parameters) > 6 else "")
        await self._deliver(series, replies.first_reply(self.feed, address, series, n_bars, span))

    async def _is_one_too_many(
        self, chart: ChartSession, address: Address, args: list[Any]
    ) -> bool:
        """Refuse a second series of the chart session, and one too many of the connection."""
        if set(chart.series) - {address.series}:
            reason = "exceed limit of series in the session"
            await self._critical(address.chart, reason, "create_series", args)
            return True
        others = sum(len(each.series) for each in self.charts.values() if each is not chart)
        if others >= self.feed.options.most_series:
            await self.refuse("Max state sessions reached")
            return True
        return False

    async def _deliver(self, series: Series, reply: Reply) -> None:
        """Send the reply, or the fault armed for it."""
        reply.quotes.extend(self.quotes.changes(series.resolution.asked_for))
        full_symbol = series.listing.full_symbol
        if full_symbol.startswith("FAULT:"):
            fault: ArmedFault | None = ArmedFault(full_symbol.removeprefix("FAULT:").lower())
        else:
            fault = self.feed.armed.take(CONVERSATION_FAULTS)
        if fault is not None:
            talk = Talk(self.channel, series, reply, fault.args, self.quotes.any_session())
            self.start(run_fault(fault.name, talk))
            return
        await self._send_all(reply.payloads())
        self.watch(series, reply)

    def watch(self, series: Series, reply: Reply) -> None:
        """Start the live updates of the series."""
        series.is_complete = True
        self.start(self._update(series, reply))

    async def _update(self, series: Series, reply: Reply) -> None:
        """Send changed and new bars, every `update_seconds`; a stopped clock changes nothing."""
        while True:
            await asyncio.sleep(self.feed.options.update_seconds)
            chart = self.charts.get(reply.address.chart)
            is_ours = chart is not None and chart.series.get(series.series_id) is series
            if not is_ours or self.channel.is_muted:
                return
            fault = self.feed.armed.take(LIVE_FAULTS)
            if fault is not None:
                # `live_silence` only leaves the update out.
                self.channel.is_muted = fault.name == "live_dead"
                if fault.name == "live_cut":
                    self.channel.cut()
                continue
            news = replies.live_reply(self.feed, series, reply)
            if news is not None:
                await self.channel.send(news.live_update())

    async def request_more_data(self, parameters: list[Any]) -> None:
        """Answer with older bars of a series."""
        self.feed.stats.request_more_data += 1
        chart = await self._chart("request_more_data", parameters, 3)
        series = chart.series.get(parameters[1]) if chart else None
        n_bars = replies.read_count(parameters[2]) if series else None
        if series is None or n_bars is None:
            if chart is not None:
                await self._critical(
                    parameters[0], "invalid parameters", "request_more_data", parameters[1:]
                )
            return
        await self._send_all(replies.older_reply(self.feed, parameters[0], series, n_bars))

    async def modify_series(self, parameters: list[Any]) -> None:
        """Answer with another range, timeframe or symbol of a series."""
        chart = await self._chart("modify_series", parameters, 5)
        series = chart.series.get(parameters[1]) if chart else None
        if series is None:
            return
        is_same = series.timeframe == parameters[4] and series.resolution.symbol_id == parameters[3]
        if not is_same:
            count = [*parameters[:5], series.n_sent or 300, *parameters[5:6]]
            await self.create_series(count)
            return
        span = parameters[5] if len(parameters) > 5 else ""
        await self._send_all(replies.range_reply(self.feed, parameters, series, str(span)))

    async def remove_series(self, parameters: list[Any]) -> None:
        """Delete a series."""
        chart = await self._chart("remove_series", parameters, 2)
        if chart is not None:
            chart.series.pop(parameters[1], None)

    # --- shared -----------------------------------------------------------------------

    async def _chart(
        self, method: str, parameters: list[Any], n_needed: int
    ) -> ChartSession | None:
        """Return the chart session of a message; refuse a client without this session."""
        chart = self.charts.get(str(parameters[0])) if parameters else None
        if chart is None:
            name = parameters[0] if parameters else ""
            await self.refuse(f'{{unknown_session_id,<<"{method}">>,<<"{name}">>,[]}}')
            return None
        if len(parameters) < n_needed:
            await self._critical(parameters[0], "invalid parameters", method, parameters[1:])
            return None
        return chart

    async def _critical(self, session: Any, reason: str, method: str, args: list[Any]) -> None:
        shown = ", ".join(map(str, args))
        text = f'method: {method}. args: "[{shown}]"'
        await self.channel.send(message("critical_error", [session, reason, text]))

    async def _send_all(self, payloads: list[bytes]) -> None:
        await self.channel.send(*payloads)


# Cached: the function searches all files of the time zones.
_timezones = cache(available_timezones)


_HANDLERS: dict[str, Callable[[Conversation, list[Any]], Awaitable[None]]] = {
    "set_auth_token": Conversation.set_auth_token,
    "chart_create_session": Conversation.chart_create_session,
    "chart_delete_session": Conversation.chart_delete_session,
    "switch_timezone": Conversation.switch_timezone,
    "resolve_symbol": Conversation.resolve_symbol,
    "create_series": Conversation.create_series,
    "modify_series": Conversation.modify_series,
    "request_more_data": Conversation.request_more_data,
    "remove_series": Conversation.remove_series,
    "quote_create_session": lambda talk, parameters: talk.quotes.create(parameters),
    "quote_add_symbols": lambda talk, parameters: talk.quotes.add(parameters),
    "quote_delete_session": lambda talk, parameters: talk.quotes.delete(parameters),
}
