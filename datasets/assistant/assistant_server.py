"""The MCP server: tools and resources over standard input and output."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ResourceNotFoundError,
    ToolError,
    UnexpectedToolError,
)
from mcp_types import (
    CallToolResult,
    ContentBlock,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import ValidationError

from datasets.assistant.bar_tools import BarTools
from datasets.assistant.catalog_tools import CatalogTools
from datasets.assistant.fetch_tools import FetchTools
from datasets.assistant.service_reader import ServiceReader
from datasets.assistant.tool_replies import error_text, to_text
from datasets.errors import DatasetsError, InvalidRequest, NotFound
from datasets.research.service.service_http import error_of

Tool = Callable[..., dict[str, Any]]
_log = logging.getLogger(__name__)

INSTRUCTIONS = """\
Bars (open, high, low, close, volume) of a self-hosted archive of TradingView's data. The tools read bars that are held; they \
do not fetch. Times are UTC and name the bar's opening. Tell the user the source, the adjustment and the range of the bars that \
you used; bars of the source "sample" are synthetic. An error names its code and the next step; it never means "no bars"."""
_CAN_FETCH = (
    " request_fetch has the service fetch missing bars; use it only for what the user needs."
)
_CANNOT_FETCH = " This server may not fetch; a person can allow it with --allow-fetch."


def serve(url: str, token: str | None, *, allow_fetch: bool = False) -> None:
    """Serve the tools over standard input and output until the input ends.

    Parameters
    ----------
    url
        The service, `http://host:8000`.
    token
        An API token with the scope `read`, and `fetch` for `allow_fetch`; None where the API is open.
    allow_fetch
        Offer `request_fetch`, which adds to the service's queue.

    Raises
    ------
    InvalidRequest
        The address is none, or contains a user name.
    """
    build_server(ServiceReader(url, token), allow_fetch=allow_fetch).run("stdio")


class AssistantServer(MCPServer):
    """The SDK's server; every error of a call has our code and advice, also an error that the SDK finds."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        tools = {tool.name: tool.input_schema for tool in await self.list_tools()}
        try:
            if name not in tools:
                allowed = ", ".join(tools)
                raise NotFound(f"There is no tool {name!r}. The tools are {allowed}.")
            _require_known(arguments, list(tools[name].get("properties", {})))
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            _log.exception("The tool %s failed", name)
            return _failed(error_of("internal_error", f"The tool {name} failed unexpectedly."))
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            return _failed(_invalid(error.__cause__))
        except DatasetsError as error:
            return _failed(error)


def _require_known(arguments: dict[str, Any], allowed: list[str]) -> None:
    """Raise `InvalidRequest` for arguments that the tool does not have; the SDK would ignore them."""
    use = f"unknown argument; the tool has {', '.join(allowed)}"
    unknown = {name: [f"{name[:50]}: {use}"] for name in arguments if name not in allowed}
    if unknown:
        raise InvalidRequest(unknown)


def _invalid(found: ValidationError) -> InvalidRequest:
    """Return the error of arguments with wrong types: each argument with pydantic's message."""
    errors: dict[str, list[str]] = {}
    for each in found.errors(include_url=False, include_context=False):
        name = str(each["loc"][0]) if each["loc"] else "arguments"
        errors.setdefault(name, []).append(f"{name}: {each['msg']}.")
    return InvalidRequest(errors)


def _failed(error: DatasetsError) -> CallToolResult:
    # `ToolError` would put words of its own before the JSON.
    content: list[ContentBlock] = [TextContent(type="text", text=error_text(error))]
    return CallToolResult(content=content, is_error=True)


def build_server(reader: ServiceReader, *, allow_fetch: bool) -> AssistantServer:
    """Return the server with its tools and resources; it has made no request yet."""
    instructions = INSTRUCTIONS + (_CAN_FETCH if allow_fetch else _CANNOT_FETCH)
    server = AssistantServer("tvdatasets", instructions=instructions, log_level="WARNING")
    catalog, bars, fetches = CatalogTools(reader), BarTools(reader), FetchTools(reader)
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    fetching = ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
    )
    offered: list[tuple[Tool, ToolAnnotations]] = [
        (catalog.search_symbols, reading),
        (catalog.list_series, reading),
        (catalog.describe, reading),
        (bars.bars, reading),
        (bars.statistics, reading),
        (catalog.gaps, reading),
    ]
    if allow_fetch:
        offered += [(fetches.request_fetch, fetching), (fetches.fetch_state, reading)]
    for tool, hints in offered:
        server.add_tool(_answering(tool), annotations=hints, structured_output=False)
    _add_resources(server, catalog)
    return server


def _add_resources(server: MCPServer, catalog: CatalogTools) -> None:
    json = "application/json"

    @server.resource("tvdatasets://series", mime_type=json)
    def series() -> str:
        """The series whose bars are held, the one fetched last first."""
        return _content(catalog.list_series)

    @server.resource("tvdatasets://series/{number}", mime_type=json)
    def one_series(number: int) -> str:
        """What is held of one series: range, freshness, gaps, adjustment, source."""
        return _content(partial(catalog.described, number))


def _content(read: Callable[[], dict[str, Any]]) -> str:
    """Return a resource as JSON text; raise the SDK's error of the same kind as ours."""
    try:
        return to_text(read())
    except NotFound as error:
        raise ResourceNotFoundError(error_text(error)) from None
    except DatasetsError as error:
        raise ResourceError(error_text(error)) from None


def _answering(tool: Tool) -> Callable[..., str | CallToolResult]:
    """Return the tool with its answer as JSON text, and each of our errors as a result that says so."""

    @wraps(tool)
    def run(*arguments: Any, **named: Any) -> str | CallToolResult:
        try:
            return to_text(tool(*arguments, **named))
        except DatasetsError as error:
            return _failed(error)

    return run
