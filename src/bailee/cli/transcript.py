"""A transcript as a person reads it in a terminal."""

from __future__ import annotations

from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from bailee.cli.show import console, moment, say
from bailee.shown import line

_LONGEST = 2_000
_WHY = {
    "not_understood": "it does not follow the API",
    "ended_the_process": "the server stopped while parsing it",
    "decoded_size": "past the bound on size when unpacked",
}


def being_filed(unfiled: dict[str, Any]) -> str:
    """How much is recorded and not in the index yet, in words; "" when nothing is."""
    count, more = unfiled["exchanges"], "what an earlier run left" if unfiled["earlier"] else ""
    exchanges = f"{count} exchange{'' if count == 1 else 's'}" if count else ""
    return " and ".join(part for part in (exchanges, more) if part)


def print_transcript(transcript: dict[str, Any]) -> None:
    """Print the messages of each conversation of a session, block by block."""
    out = console()
    say(
        f"session {transcript['id']}, exchanges: {transcript['exchanges']}, "
        f"kept until {moment(transcript['kept_until'])} by {transcript['retention']['clause']}"
    )
    if said := being_filed(transcript["unfiled"]):
        say(f"Of its account, being filed and perhaps not in here yet: {said}.")
    for one in transcript["as_bytes"]:
        out.print(
            f"exchange {one['number']} is kept as the bytes that came: "
            f"{_WHY.get(one['why'], 'past the bound on ' + one['why'])}"
        )
    parts = {
        "conversation": transcript["messages"],
        **{f"agent {name}": messages for name, messages in transcript["agents"].items()},
        **{f"aside {n}": messages for n, messages in enumerate(transcript["aside"], 1)},
    }
    for title, messages in parts.items():
        out.rule(Text(line(title)), style="dim")
        for message in messages:
            _print_message(out, message)


def _print_message(out: Console, message: Any) -> None:
    role = message.get("role", "?") if isinstance(message, dict) else "?"
    content = message.get("content") if isinstance(message, dict) else message
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    for block in blocks:
        kind, text = _block(block)
        label = role if kind == "text" else f"{role} · {kind}"
        out.print(Text(line(label), style="bold"))
        out.print(Text(text if len(text) <= _LONGEST else text[:_LONGEST] + " …"))
        out.print()


def _block(block: Any) -> tuple[str, str]:
    if not isinstance(block, dict):
        return "text", str(block)
    kind = str(block.get("type", "block"))
    match kind:
        case "text":
            return kind, str(block.get("text", ""))
        case "thinking":
            return kind, str(block.get("thinking", ""))
        case "tool_use":
            return f"tool_use {block.get('name')}", _json(block.get("input"))
        case "tool_result":
            content = block.get("content")
            return kind, content if isinstance(content, str) else _json(content)
        case _:
            return kind, _json(block)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
