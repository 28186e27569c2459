"""All refusals of TradingView: errors of symbol, series, protocol and session."""

from __future__ import annotations

from samplefeed.faults.registry import Run, Talk, add, conversation_fault
from samplefeed.frames import message

# Name of the fault -> message of TradingView, and its reason.
_REFUSALS: dict[str, tuple[str, ...]] = {
    "invalid_symbol": ("symbol_error", "invalid symbol"),
    "permission_denied": ("symbol_error", "permission denied", "group", "economics_paid"),
    "seconds_not_entitled": ("series_error", "seconds_not_entitled"),
    "resolution_not_entitled": ("series_error", "resolution_not_entitled"),
    "custom_resolution": ("series_error", "custom_resolution"),
    "unsupported_resolution": ("series_error", "unsupported resolution: INDEX:NDFI, 5"),
    "bad_auth_token": ("protocol_error", "bad auth token"),
    "banned": ("protocol_error", "banned"),
    "banned_by_user_id": ("protocol_error", "banned by user_id"),
    "banned_by_ip": ("protocol_error", "banned by ip"),
    "user_connections_limit": ("protocol_error", "user connections limit reached"),
    "max_state_sessions": ("protocol_error", "Max state sessions reached"),
    "max_sessions_rate": ("protocol_error", "max sessions rate reached"),
    "wrong_data": ("protocol_error", "wrong data"),
}
_THEN = {
    "symbol_error": ", then series_error; never completed.",
    "series_error": "; never completed.",
    "protocol_error": " and a close.",
}


def _refusal(method: str, *reason: str) -> Run:
    async def run(talk: Talk) -> None:
        reply, channel = talk.reply, talk.channel
        if method == "symbol_error":
            errors = [reply.symbol_error(*reason), reply.series_error("resolve error")]
            await channel.send(reply.loading(), *errors)
        elif method == "series_error":
            await channel.send(*reply.opening(), reply.series_error(reason[0], "undefined"))
        else:
            await channel.send(message(method, [reason[0]]))
            await channel.close()

    return run


for _name, (_method, *_reason) in _REFUSALS.items():
    add(_name, f"{_method} “{_reason[0]}”{_THEN[_method]}", _refusal(_method, *_reason))


@conversation_fault("critical_error for the chart session; never completed.")
async def critical_error(talk: Talk) -> None:
    address = talk.reply.address
    args = f"[$prices, {address.series}, {address.turnaround}, {talk.series.timeframe}]"
    text = f'method: create_series. args: "{args}"'
    await talk.channel.send(message("critical_error", [address.chart, "invalid parameters", text]))


@conversation_fault("critical_error for a quote session only, then a good answer.")
async def critical_error_quote(talk: Talk) -> None:
    error = message(
        "critical_error", [talk.quote_session, "invalid_parameters", "quote_add_symbols"]
    )
    await talk.channel.send(error, *talk.reply.payloads())
