"""The HTTP routes of the feed, and its start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import time
from typing import Any

from aiohttp import WSMsgType, web

from samplefeed import search, site
from samplefeed.channel import Channel
from samplefeed.clock import parse_instant
from samplefeed.control import ArmedFault
from samplefeed.conversation import Conversation
from samplefeed.faults import FAULTS, UPGRADE_FAULTS
from samplefeed.feed import Feed

SOCKET_PATH = "/socket.io/websocket"
FEED = web.AppKey("feed", Feed)
TRANSPORTS = web.AppKey("transports", set[asyncio.Transport])


def make_app(feed: Feed) -> web.Application:
    """Return the application with all routes."""
    app = web.Application()
    app[FEED] = feed
    app[TRANSPORTS] = set()
    app.router.add_get(SOCKET_PATH, chart_socket)
    site.add_routes(app, feed)
    search.add_routes(app, feed)
    app.router.add_get("/control/stats", show_stats)
    app.router.add_post("/control/fault", arm_fault)
    app.router.add_post("/control/clock", set_clock)
    app.router.add_post("/control/reset", reset)
    return app


async def chart_socket(request: web.Request) -> web.StreamResponse:
    """Serve one client of the chart socket."""
    feed = request.app[FEED]
    fault = feed.armed.take(UPGRADE_FAULTS)
    if fault is not None and fault.name != "hello_late":
        return await _refuse_upgrade(fault, request)
    response = web.WebSocketResponse(compress=False, autoping=True, max_msg_size=8_000_000)
    await response.prepare(request)
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        return response
    conversation = Conversation(feed, Channel(response, transport))
    request.app[TRANSPORTS].add(transport)
    headers = request.headers
    feed.stats.visitors.append((headers.get("Origin", ""), headers.get("User-Agent", "")))
    feed.stats.connections_opened += 1
    feed.stats.connections_open += 1
    try:
        if fault is not None:
            await asyncio.sleep(float(fault.args.get("seconds", 2.0)))
        await _talk(conversation, response)
    finally:
        conversation.stop()
        feed.stats.connections_open -= 1
        request.app[TRANSPORTS].discard(transport)
    return response


async def _talk(conversation: Conversation, response: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        await conversation.greet()
        conversation.start(_beat(conversation))
        async for received in response:
            if received.type is WSMsgType.TEXT:
                await conversation.hear(received.data)
            elif received.type is WSMsgType.BINARY:
                await conversation.refuse("wrong data")


async def _beat(conversation: Conversation) -> None:
    """Send heartbeats; close the connection after three unanswered ones."""
    period = conversation.feed.options.heartbeat_seconds
    conversation.heartbeat_answered_at = time.monotonic()
    number = 0
    while not conversation.channel.is_muted:
        await asyncio.sleep(period)
        # Half a period more than three, because the answer to the last heartbeat takes time.
        if time.monotonic() - conversation.heartbeat_answered_at > 3.5 * period:
            conversation.channel.cut()
            return
        if not conversation.channel.is_muted:
            number += 1
            conversation.feed.stats.heartbeats_sent += 1
            await conversation.channel.send(b"~h~%d" % number)


async def _refuse_upgrade(fault: ArmedFault, request: web.Request) -> web.StreamResponse:
    if fault.name == "silent_upgrade":
        await asyncio.Event().wait()
    status = int(fault.name.split("_")[1])
    if fault.name.endswith("_unfinished"):
        unfinished = web.StreamResponse(status=status)
        unfinished.content_length = 1000
        await unfinished.prepare(request)
        await asyncio.Event().wait()
    return web.Response(status=status, text="<html><body>refused</body></html>")


async def show_stats(request: web.Request) -> web.Response:
    """Answer the counts and the armed faults."""
    feed = request.app[FEED]
    return web.json_response(feed.stats.as_json() | {"armed": feed.armed.as_json()})


async def arm_fault(request: web.Request) -> web.Response:
    """Arm a fault for the next callers."""
    try:
        request.app[FEED].armed.arm(read_fault(await request.json()))
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response({"armed": request.app[FEED].armed.as_json()})


def read_fault(body: Any) -> ArmedFault:
    """Return the fault named in the JSON; raise `ValueError` for an unknown fault."""
    if not isinstance(body, dict):
        raise ValueError("A fault is an object with name, times and args.")
    name, times, args = body.get("name"), body.get("times", 1), body.get("args") or {}
    if name not in FAULTS:
        raise ValueError(f"There is no fault {name!r}; `--list-faults` names them all.")
    if times is not None and not isinstance(times, int):
        raise ValueError(f"times is a whole number or null, not {times!r}.")
    if not isinstance(args, dict):
        raise ValueError(f"args is an object, not {args!r}.")
    return ArmedFault(str(name), times, args)


async def set_clock(request: web.Request) -> web.Response:
    """Stop the clock at the instant `now`, or let it run with the wall clock."""
    try:
        text = (await request.json())["now"]
        request.app[FEED].clock.frozen_at = None if text is None else parse_instant(text)
    except (ValueError, TypeError, KeyError):
        error = "The body is an object with now: an instant in ISO 8601, or null."
        return web.json_response({"error": error}, status=400)
    return web.json_response({})


async def reset(request: web.Request) -> web.Response:
    """Reset counts, faults and the clock."""
    request.app[FEED].reset()
    return web.json_response({})


class Server:
    """A running feed."""

    def __init__(self, feed: Feed, tls: ssl.SSLContext | None = None) -> None:
        self._app = make_app(feed)
        self._tls = tls
        self._runner = web.AppRunner(
            self._app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port. Raises `OSError` for a port in use."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        address: tuple[str, int] = self._runner.addresses[0]
        return address[1]

    async def stop(self) -> None:
        """Close every connection and the port, at once."""
        transports = self._app[TRANSPORTS]
        for transport in list(transports):
            transport.abort()
        await self._runner.cleanup()


def listen_for_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    return asked
