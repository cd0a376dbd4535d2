"""What a session costs to keep, by the API that its client speaks.

One coding session of 50 turns (`vault._session`: 80 KB of system prompt and tools, source files as
tool results) is said in each API as its reference has it, recorded and kept; each request comes
back exactly. Against the same bytes as they are, and compressed each by itself.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import zstandard

from bailee.api import Api
from bailee.apis.reading import interpret
from bailee.clock import system_clock
from bench.alone import vault_in
from bench.result import Line
from bench.vault import TURNS, _exchange, _pages, _say, _session, _submit_all

_SESSION = (("x-bailee-session", "6f4f5a8e-32a5-4d0c-8f0b-0d7c3d1c1a11"),)


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        return [_kept(api, Path(folder) / str(api)) for api in Api]


def _kept(api: Api, home: Path) -> Line:
    home.mkdir()
    session = [_said(api, json.loads(asked), json.loads(answer)) for asked, answer in _session()]
    sent = [(json.dumps(asked).encode(), json.dumps(answer).encode()) for asked, answer in session]
    verbatim = sum(len(asked) + len(answer) for asked, answer in sent)
    apart = sum(len(zstandard.compress(asked + answer, 3)) for asked, answer in sent)
    with vault_in(home, interpret) as (vault, _):
        empty = _pages(home / "data.db")
        now = system_clock().timestamp()
        began = time.process_time()
        asyncio.run(
            _submit_all(
                vault.spool,
                [
                    _exchange(n, *pair, now)._replace(api=api, request_headers=_SESSION)
                    for n, pair in enumerate(sent)
                ],
            )
        )
        vault.flush()
        worked = time.process_time() - began
        (row,) = vault.sessions(system_clock())
        assert [asked for asked, _ in session] == [x.request for x in vault.show(row.id).exchanges]
    index = _pages(home / "data.db") - empty
    kept = row.bytes + index
    return _say(
        (
            f"bytes kept, {TURNS} turns, {api} (index {index / 1e3:.0f} KB)",
            f"{kept / 1e3:,.0f} KB",
            f"verbatim {verbatim / 1e3:,.0f} KB ({verbatim / kept:.1f}x), "
            f"zstd each {apart / 1e3:,.0f} KB ({apart / kept:.1f}x); "
            f"{worked / TURNS * 1e3:.1f} ms of processor an exchange",
        )
    )


def _said(api: Api, asked: Any, answer: Any) -> tuple[Any, Any]:
    """A request and its answer of the Messages API, in another API."""
    if api is Api.MESSAGES:
        return asked, answer
    system = asked["system"][0]["text"]
    messages = [_blocks(one) for one in asked["messages"]]
    said = _blocks(answer)
    used = {"input_tokens": 1, "output_tokens": 1}
    match api:
        case Api.CONVERSE:
            tools = {"tools": [{"toolSpec": one} for one in asked["tools"]]}
            output = {"message": {"role": "assistant", "content": list(map(_converse, said))}}
            items = [
                {"role": one["role"], "content": list(map(_converse, blocks))}
                for one, blocks in zip(asked["messages"], messages, strict=True)
            ]
            request = {"system": [{"text": system}], "toolConfig": tools, "messages": items}
            return request, {"output": output, "stopReason": "tool_use"}
        case Api.RESPONSES:
            items = [_response(block) for blocks in messages for block in blocks]
            items = [{**one, "id": f"i_{n}"} for n, one in enumerate(items)]
            output = [{**_response(one), "id": f"i_{len(items) + n}"} for n, one in enumerate(said)]
            tools = [{"type": "function", **one} for one in asked["tools"]]
            base = {"model": "m", "stream": True, "store": False, "tools": tools}
            again = {"instructions": system, "tools": tools}  # so the reference has it
            response = {"id": answer["id"], "object": "response", **again, "output": output}
            request = {**base, "instructions": system, "input": items}
            return request, {**response, "usage": used}
        case Api.CHAT:
            tools = [{"type": "function", "function": one} for one in asked["tools"]]
            items = [{"role": "system", "content": system}, *map(_chat, messages)]
            choice = {"index": 0, "message": _chat(said), "finish_reason": "tool_calls"}
            return {"model": "m", "tools": tools, "messages": items}, {"choices": [choice]}
        case Api.GEMINI:
            tools = [{"functionDeclarations": asked["tools"]}]
            instruction = {"parts": [{"text": system}]}
            items = list(map(_gemini, messages))
            candidate = {"content": _gemini(said), "finishReason": "STOP", "index": 0}
            request = {"systemInstruction": instruction, "tools": tools, "contents": items}
            return request, {"candidates": [candidate]}


def _blocks(message: Any) -> list[Any]:
    return [{n: v for n, v in one.items() if n != "cache_control"} for one in message["content"]]


def _converse(block: Any) -> Any:
    match block["type"]:
        case "text":
            return {"text": block["text"]}
        case "tool_use":
            named = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
            return {"toolUse": named}
        case _:
            result = {"toolUseId": block["tool_use_id"], "content": [{"text": block["content"]}]}
            return {"toolResult": result}


def _response(block: Any) -> Any:
    match block["type"]:
        case "text":
            part = {"type": "output_text", "text": block["text"], "annotations": []}
            return {"type": "message", "role": "assistant", "content": [part]}
        case "tool_use":
            called = {"call_id": block["id"], "name": block["name"]}
            return {"type": "function_call", **called, "arguments": json.dumps(block["input"])}
        case _:
            came = {"call_id": block["tool_use_id"], "output": block["content"]}
            return {"type": "function_call_output", **came}


def _chat(blocks: list[Any]) -> Any:
    first = blocks[0]
    if first["type"] == "tool_result":
        return {"role": "tool", "tool_call_id": first["tool_use_id"], "content": first["content"]}
    if len(blocks) == 1:
        return {"role": "user", "content": first["text"]}
    use = blocks[1]
    function = {"name": use["name"], "arguments": json.dumps(use["input"])}
    call = {"id": use["id"], "type": "function", "function": function}
    return {"role": "assistant", "content": first["text"], "tool_calls": [call]}


def _gemini(blocks: list[Any]) -> Any:
    parts: list[Any] = []
    for block in blocks:
        match block["type"]:
            case "text":
                parts.append({"text": block["text"]})
            case "tool_use":
                called = {"id": block["id"], "name": block["name"], "args": block["input"]}
                parts.append({"functionCall": called})
            case _:
                result = {"id": block["tool_use_id"], "response": {"output": block["content"]}}
                parts.append({"functionResponse": result})
    model = any("functionCall" in part for part in parts)
    return {"role": "model" if model else "user", "parts": parts}
