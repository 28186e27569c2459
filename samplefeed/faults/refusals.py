"""All refusals of TradingView: errors of symbol, series, protocol and session."""

from __future__ import annotations

from samplefeed.faults.registry import Run, Talk, add, conversation_fault
from samplefeed.frames import message

_SYMBOL_ERRORS = {
    "invalid_symbol": ("invalid symbol",),
    "permission_denied": ("permission denied", "group", "economics_paid"),
}
_SERIES_ERRORS = {
    "seconds_not_entitled": "seconds_not_entitled",
    "resolution_not_entitled": "resolution_not_entitled",
    "custom_resolution": "custom_resolution",
    "unsupported_resolution": "unsupported resolution: INDEX:NDFI, 5",
}
_PROTOCOL_ERRORS = {
    "bad_auth_token": "bad auth token",
    "banned": "banned",
    "banned_by_user_id": "banned by user_id",
    "banned_by_ip": "banned by ip",
    "user_connections_limit": "user connections limit reached",
    "max_state_sessions": "Max state sessions reached",
    "max_sessions_rate": "max sessions rate reached",
    "wrong_data": "wrong data",
}


def _symbol_refusal(reason: tuple[str, ...]) -> Run:
    async def run(talk: Talk) -> None:
        reply = talk.reply
        errors = [reply.symbol_error(*reason), reply.series_error("resolve error")]
        await talk.channel.send(reply.loading(), *errors)

    return run


def _series_refusal(reason: str) -> Run:
    async def run(talk: Talk) -> None:
        error = talk.reply.series_error(reason, "undefined")
        await talk.channel.send(*talk.reply.opening(), error)

    return run


def _protocol_refusal(reason: str) -> Run:
    async def run(talk: Talk) -> None:
        await talk.channel.send(message("protocol_error", [reason]))
        await talk.channel.close()

    return run


for _name, _reason in _SYMBOL_ERRORS.items():
    _sentence = f"symbol_error “{_reason[0]}”, then series_error; never completed."
    add(_name, _sentence, _symbol_refusal(_reason))
for _name, _text in _SERIES_ERRORS.items():
    add(_name, f"series_error “{_text}”; never completed.", _series_refusal(_text))
for _name, _text in _PROTOCOL_ERRORS.items():
    add(_name, f"protocol_error “{_text}” and a close.", _protocol_refusal(_text))


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
