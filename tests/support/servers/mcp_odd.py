"""An MCP server over standard input and output, written out by hand, that does what servers do
beside the protocol: noise among its lines, bytes that are not UTF-8, names that collide, a schema
that the Messages API refuses, results that are no plain text.
"""

from __future__ import annotations

import json
import sys
from typing import Any

OBJECT = {"type": "object", "properties": {}}
CHOICE = {
    "type": "object",
    "anyOf": [
        {"properties": {"kind": {"type": "string"}}, "required": ["kind"]},
        {"properties": {"count": {"type": "integer"}}, "required": ["count"]},
    ],
}
TOOLS = {
    "pick.one": OBJECT,
    "pick_one": OBJECT,
    "either": CHOICE,
    "resource": OBJECT,
    "structured": OBJECT,
    "latin": OBJECT,
}
RESULTS: dict[str, dict[str, Any]] = {
    "resource": {
        "content": [
            {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "seven quinces"}},
            {"type": "resource_link", "name": "orchard", "uri": "file:///b.txt"},
        ]
    },
    "structured": {"content": [], "structuredContent": {"trees": 7}},
}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The result, or the error, of one request."""
    match asked:
        case {"method": "initialize", "params": params}:
            server = {"name": "odd", "version": "1"}
            known = params["protocolVersion"]
            return {"result": {"protocolVersion": known, "capabilities": {"tools": {}}, "serverInfo": server}}  # noqa: E501  # fmt: skip
        case {"method": "tools/list"}:
            return {"result": {"tools": [{"name": n, "inputSchema": s} for n, s in TOOLS.items()]}}
        case {"method": "tools/call", "params": {"name": name}}:
            plain = {"content": [{"type": "text", "text": name}]}
            return {"result": RESULTS.get(name, plain)}
        case _:
            return {"error": {"code": -32601, "message": "no such method"}}


for line in sys.stdin:
    request = json.loads(line)
    print("Listening for fruit...", flush=True)
    sys.stdout.buffer.write(b"caf\xe9 {\n")
    if "id" in request:
        whole = {"jsonrpc": "2.0", "id": request["id"], **answer(request)}
        if request.get("params", {}).get("name") == "latin":
            whole["result"]["content"][0]["text"] = "caf"
            written = json.dumps(whole).encode().replace(b'"caf"', b'"caf\xe9"')
        else:
            written = json.dumps(whole).encode()
        sys.stdout.buffer.write(written + b"\n")
    sys.stdout.buffer.flush()
