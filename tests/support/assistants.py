"""An assistant: the MCP SDK's own client, with the server in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextResourceContents

from tests.support.stacks import ROOT


class Assistant:
    """A client that calls one tool after another; `heard` is all that the server has sent."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal, self._client = portal, client
        self.heard: list[str] = []

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer of a tool; fail where it is an error."""
        answer, is_error = self._call(tool, arguments)
        assert not is_error, answer
        return answer

    def error(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the error of a tool; fail where it has none."""
        answer, is_error = self._call(tool, arguments)
        assert is_error, answer
        return answer

    def _call(self, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        result = self._portal.call(self._client.call_tool, tool, arguments)
        (content,) = result.content
        self.heard.append(content.text)
        return json.loads(content.text), bool(result.is_error)

    def tools(self) -> dict[str, Any]:
        """Return the offered tools by name."""
        result = self._portal.call(self._client.list_tools)
        self.heard += [tool.model_dump_json() for tool in result.tools]
        return {tool.name: tool for tool in result.tools}

    def resource(self, uri: str) -> dict[str, Any]:
        """Return a resource, which is JSON."""
        (content,) = self._portal.call(self._client.read_resource, uri).contents
        assert isinstance(content, TextResourceContents)
        self.heard.append(content.text)
        found: dict[str, Any] = json.loads(content.text)
        return found


@contextmanager
def assistant(
    log: Path, *arguments: str, token: str = "", url: str = "", installed: str = ""
) -> Iterator[Assistant]:
    """Run the server in another folder, with its error output in `log`; yield a client of it.

    `installed` is the path of an installed command `tvdatasets`; without it the project's files run.
    """
    env = {"TV_TOKEN": token, "TV_URL": url}
    if not installed:
        env["PYTHONPATH"] = str(ROOT)
    server = StdioServerParameters(
        command=installed or sys.executable,
        args=[*(["mcp"] if installed else ["-m", "datasets.assistant"]), *arguments],
        env={name: value for name, value in env.items() if value},
        cwd=log.parent,
    )
    with (
        log.open("w") as errors,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            Client(stdio_client(server, errlog=errors), read_timeout_seconds=60)
        ) as client,
    ):
        yield Assistant(portal, client)
