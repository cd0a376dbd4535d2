"""A real MCP server, written with the official SDK: `python mcp_orchard.py` on standard input and
output, `python mcp_orchard.py PORT` over streamable HTTP, which then wants a header.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from mcp.server.mcpserver import MCPServer

server = MCPServer("orchard")


@server.tool()
def pick(kind: str, count: int) -> str:
    """Picks fruit."""
    return f"{count} {kind}"


@server.tool()
def variables() -> list[str]:
    """The names of the variables that it was started with."""
    return sorted(os.environ)


@server.tool()
def fall() -> str:
    """Fails."""
    raise ValueError("it fell")


def guarded(app: Any) -> Any:
    """Lets in who knows the word."""

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"x-word") != b"quince":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return ask


if __name__ == "__main__":
    if len(sys.argv) == 1:
        server.run()
    else:
        import uvicorn

        uvicorn.run(
            guarded(server.streamable_http_app()),
            host="127.0.0.1",
            port=int(sys.argv[1]),
            log_level="error",
        )
