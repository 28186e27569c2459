"""The command line: `python -m samplefeed`."""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from pathlib import Path

from samplefeed.clock import Clock, parse_instant
from samplefeed.control import ArmedFault
from samplefeed.faults import FAULTS
from samplefeed.feed import Feed, Options
from samplefeed.replay import load_replay
from samplefeed.server import SOCKET_PATH, Server, listen_for_signals


def main() -> int:
    """Run until a signal ends the feed; return the exit status."""
    parser = argparse.ArgumentParser(prog="samplefeed", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--replay", type=Path, help="serve the bars of a recording or a CSV")
    parser.add_argument("--symbol", help="the symbol of the CSV of --replay, as EXCHANGE:SYMBOL")
    parser.add_argument("--timeframe", help="the timeframe of the recording or CSV")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=JSON]",
        help="arm a fault for all callers; the JSON object holds its arguments",
    )
    parser.add_argument("--list-faults", action="store_true", help="print all faults and end")
    parser.add_argument("--plan-window", type=int, default=40_000, metavar="BARS")
    parser.add_argument("--first-reply", type=int, default=20_000, metavar="BARS")
    parser.add_argument("--heartbeat-seconds", type=float, default=10.0)
    parser.add_argument("--update-seconds", type=float, default=5.0)
    parser.add_argument("--most-series", type=int, default=40, metavar="SERIES")
    parser.add_argument("--now", type=parse_instant, help="stop the clock at this instant")
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"))
    arguments = parser.parse_args()
    if arguments.list_faults:
        for fault in FAULTS.values():
            print(f"{fault.name:24} {fault.level:12} {fault.sentence}")
        return 0
    try:
        return asyncio.run(_serve(arguments))
    except (OSError, ValueError) as error:
        print(f"The sample feed cannot start: {error}", file=sys.stderr)
        return 1


async def _serve(arguments: argparse.Namespace) -> int:
    # Before the address is printed: from then on, the reader may send a signal at any moment.
    asked_to_end = listen_for_signals()
    feed = _make_feed(arguments)
    tls = None
    if arguments.tls is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*arguments.tls)
    server = Server(feed, tls)
    try:
        port = await server.start(arguments.host, arguments.port)
        # The addresses as JSON, for the process that started this one.
        secure, host = "s" if tls else "", f"{arguments.host}:{port}"
        site = f"http{secure}://{host}"
        socket = f"ws{secure}://{host}{SOCKET_PATH}"
        places = {"ws_url": socket, "site_url": site, "search_url": site, "port": port}
        print(json.dumps(places), flush=True)
        await asked_to_end.wait()
    finally:
        await server.stop()
    return 0


def _make_feed(arguments: argparse.Namespace) -> Feed:
    options = Options(
        plan_window=arguments.plan_window,
        first_reply=arguments.first_reply,
        heartbeat_seconds=arguments.heartbeat_seconds,
        update_seconds=arguments.update_seconds,
        most_series=arguments.most_series,
    )
    feed = Feed(options=options, clock=Clock(arguments.now))
    if arguments.replay is not None:
        feed.replay = load_replay(arguments.replay, arguments.symbol, arguments.timeframe)
    for text in arguments.fault:
        name, _, args = text.partition("=")
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}; --list-faults names them all.")
        feed.armed.arm(ArmedFault(name, times=None, args=json.loads(args or "{}")))
    return feed


if __name__ == "__main__":
    sys.exit(main())
