"""MCP servers as tools: each of a server's is `mcp__server__tool`, under the same permissions.

Rules kept here:

* A server is a task of its own, from its start to its end; one that can't be started, or is slow,
  costs its own tools and nothing else, and the person is told.
* What comes on a server's standard output beside the protocol, or is not UTF-8, costs nothing but
  itself.
* What a server says of itself (that a tool only reads, for one) permits nothing. The person sees
  the arguments whole.
* A program is started with the few variables that the SDK takes to be safe and those that its
  definition names; nothing that looks like a credential is inherited. It runs as the person,
  outside the sandbox. An address is reached as everything else is: TLS, the company's proxy, no
  redirect to elsewhere.

Standard: Model Context Protocol, by its official SDK, imported when a server is wanted.
Rows: D2, S7.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from bailee.agent.ports import Block, Definition, Intent, ToolOutcome
from bailee.agent.tools.arguments import Arguments
from bailee.agent.tools.box import Tool
from bailee.client.servers import McpServer
from bailee.errors import BaileeError, UpstreamError
from bailee.json_values import JsonObject, members, objects
from bailee.outbound.network import Network

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, ContentBlock
    from mcp.types import Tool as _Described

_START: Final = 30.0  # seconds
_CALL: Final = 300.0
_LONGEST: Final = 60_000  # characters of a result
_DESCRIPTION: Final = 4_000
_SHOWN: Final = 400
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")


class McpTool:
    """One tool of a server. Implements `box.Tool`."""

    def __init__(self, of: _Connection, tool: _Described) -> None:
        self._of = of
        self._tool = str(tool.name)
        self.name = name_of(of.server.name, self._tool)
        self.description = (tool.description or self._tool)[:_DESCRIPTION]
        self.input_schema: Definition = schema_of(tool.input_schema)

    def intent(self, arguments: Arguments) -> Intent:
        """What would be asked of the server, whole."""
        given = json.dumps(arguments.given, ensure_ascii=False, indent=1)
        title = f"{self._tool} of the MCP server {self._of.server.name}"
        return Intent(self.name, "", title, given)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """What the server answers."""
        return await self._of.call(self._tool, dict(arguments.given))


class Servers:
    """The servers of one session, started with the first turn, all at the same time."""

    def __init__(
        self,
        wanted: Iterable[McpServer],
        network: Network,
        folder: str,
        refused: Sequence[str] = (),
    ) -> None:
        """`refused`: what to tell of those that are not to be started."""
        self._refused = refused
        self._connections = [_Connection(one, network, folder) for one in wanted]
        self._listed = False

    def start(self) -> None:
        """Begins to start those that are not started. Needs a running loop."""
        for one in self._connections:
            one.start()

    async def tools(self) -> tuple[list[Tool], list[str]]:
        """The tools of those that are there, and what to tell of those that are not. Once: the
        model's tools stay the same for a session.
        """
        if self._listed:
            return [], []
        self.start()
        tools: list[Tool] = []
        told = [*self._refused]
        for one in self._connections:
            try:
                tools += await one.tools()
            except BaileeError as error:
                told.append(error.message)
        self._listed = True
        return tools, told

    async def close(self) -> None:
        """Ends them."""
        await asyncio.gather(*(one.close() for one in self._connections))


class _Connection:
    def __init__(self, server: McpServer, network: Network, folder: str) -> None:
        self.server = server
        self._network = network
        self._folder = folder
        self._client: Client | None = None
        self._end = asyncio.Event()
        self._ready: asyncio.Future[list[Tool]] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is not None:
            return
        self._ready = asyncio.get_running_loop().create_future()
        # What comes of it after nobody waits any more is not for the screen.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._task = asyncio.create_task(self._serve(self._ready))

    async def tools(self) -> list[Tool]:
        assert self._ready is not None
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), _START)
        except TimeoutError:
            await self.close()
            raise UpstreamError(
                f"The MCP server {self.server.name} did not answer within {_START:.0f} seconds."
            ) from None

    async def call(self, tool: str, arguments: JsonObject) -> ToolOutcome:
        if self._client is None:
            raise UpstreamError(f"the MCP server {self.server.name} has ended.")
        try:
            result = await self._client.call_tool(tool, arguments, read_timeout_seconds=_CALL)
        except Exception as error:
            raise UpstreamError(
                f"the MCP server {self.server.name} failed: {_first_line(error)}"
            ) from None
        return outcome_of(result)

    async def close(self) -> None:
        self._end.set()
        if self._task is not None:
            with suppress(asyncio.CancelledError, Exception):
                await asyncio.wait_for(self._task, 5)

    async def _serve(self, ready: asyncio.Future[list[Tool]]) -> None:
        """The whole life of the connection: its SDK wants to be left by the task that entered."""
        try:
            async with _connected(self.server, self._network, self._folder) as client:
                listed = await _listed(client)
                self._client = client
                tools: list[Tool] = [McpTool(self, tool) for tool in listed]
                if not ready.done():
                    ready.set_result(tools)
                await self._end.wait()
        except Exception as error:
            if not ready.done():
                why = error.message if isinstance(error, BaileeError) else _first_line(error)
                ready.set_exception(
                    UpstreamError(f"The MCP server {self.server.name} can't be used: {why}")
                )
        finally:
            self._client = None


@asynccontextmanager
async def _connected(server: McpServer, network: Network, folder: str) -> AsyncIterator[Client]:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client

    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)  # it logs to the screen what it skips
    if server.url is not None:
        async with (
            network.async_client(server.url, "The MCP server's url", server.headers) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            yield client
        return
    parameters = StdioServerParameters(
        command=server.command or "",
        args=list(server.args),
        env=dict(server.env),
        cwd=folder,
        encoding_error_handler="replace",
    )
    # What it writes to its standard error would be written over the person's screen.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        async with Client(stdio_client(parameters, errlog=nowhere)) as client:
            yield client


async def _listed(client: Client) -> list[_Described]:
    tools: list[_Described] = []
    cursor: str | None = None
    for _ in range(20):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools


def name_of(server: str, tool: str) -> str:
    """A tool's name for the model, in the letters that the API takes. A server's part holds no two
    underscores in a row, so that where it ends is certain; a name that had to be changed for that
    has a digest at its end, so that no server has another's. Pure.
    """
    of = server
    if not re.fullmatch(r"[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*", server):
        plain = re.sub(r"[^A-Za-z0-9-]+", "_", server).strip("_")
        of = f"{plain}-{hashlib.sha256(server.encode(errors='replace')).hexdigest()[:6]}"
    return f"mcp__{of}__{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}"[:128]


def schema_of(given: Definition) -> Definition:
    """A tool's schema as the API takes it: an object, with no choice at its top. Of a choice, what
    each of its branches names may be given; the server says what belongs together. Pure.
    """
    known: dict[str, object] = {}
    for name in ("allOf", "oneOf", "anyOf"):
        for branch in objects(given.get(name)):
            known |= members(branch.get("properties"))
    made = {k: v for k, v in given.items() if k not in ("allOf", "oneOf", "anyOf")}
    return {**made, "type": "object", "properties": {**known, **members(given.get("properties"))}}


def outcome_of(result: CallToolResult) -> ToolOutcome:
    """A server's answer as a result: texts (a resource's too) and images, the rest by name; what
    comes as a structure stands there as JSON, unless a text says the same. Pure.
    """
    blocks: list[Block] = []
    room = _LONGEST
    told = list(map(_part, result.content))
    if result.structured_content is not None:
        written = json.dumps(result.structured_content, ensure_ascii=False)
        if not any(isinstance(one, str) and _same(one, written) for one in told):
            told.append(written)
    for one in told:
        if isinstance(one, str):
            text = one if len(one) <= room else f"{one[:room]}\n[cut]"
            room = max(0, room - len(text))
            blocks.append({"type": "text", "text": text or "[empty]"})
        else:
            blocks.append(one)
    shown = "\n".join(str(block["text"]) for block in blocks if block["type"] == "text")
    if not blocks:
        blocks.append({"type": "text", "text": "[no output]"})
    return ToolOutcome(blocks, is_error=bool(result.is_error), shown=shown[:_SHOWN])


def _part(part: ContentBlock) -> str | Block:
    match part.type:
        case "text":
            return part.text
        case "image" if part.mime_type in _IMAGES:
            return _image(part.mime_type, part.data)
        case "resource_link":
            return f"{part.name}: {part.uri}"
        case "resource":
            inner = part.resource
            if (text := getattr(inner, "text", None)) is not None:
                return f"{inner.uri}:\n{text}"
            if inner.mime_type in _IMAGES:
                return _image(inner.mime_type, getattr(inner, "blob", ""))
            return f"[{inner.uri}, which can't be shown]"
    return f"[{part.type}, which can't be shown]"


def _image(kind: str, data: str) -> Block:
    source: JsonObject = {"type": "base64", "media_type": kind, "data": data}
    return {"type": "image", "source": source}


def _same(text: str, written: str) -> bool:
    try:
        return bool(json.loads(text) == json.loads(written))
    except (ValueError, RecursionError):
        return False


def _first_line(error: BaseException) -> str:
    """What an error says, in a line; of a group, its first."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return (str(error).strip().split("\n")[0] or type(error).__name__)[:300]
