"""How cloud sessions look in a terminal: states, events as they come, connections, patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bailee.cli.answers import Fields
from bailee.cli.show import console, moment, say, size, table, write_text
from bailee.json_values import members, objects

if TYPE_CHECKING:
    from rich.text import Text

_STATUS: Final = {"finished": 0, "failed": 1, "refused": 8, "stopped": 130}


def exit_status(end: str) -> int:
    """What a command that watched a session to its end ends with."""
    return _STATUS.get(end, 8)


def state(one: Fields) -> str:
    """How far a session has come, in a word or two."""
    if one["state"] != "ended":
        return str(one["state"])
    return str(one["end"]) + (f" ({one['problem']})" if one["problem"] else "")


def particulars(one: Fields) -> None:
    """One session."""
    asked = members(one["asked"])
    pairs = [
        ("session", one["session"]),
        ("state", state(one)),
        ("repository", asked.get("repository")),
        ("pushes to", asked.get("push_branch")),
        ("agent", one["agent"]),
        ("network", one["network"]),
        ("isolation", one["security"]),
        ("transcript", one["transcript"]),
        ("asked", moment(one["created"])),
        ("ended", moment(one["ended"])),
    ]
    for name, value in pairs:
        if value:
            say(f"{name:<11} {value}")
    if one["kept"]:
        rows = [
            (
                kept["data_class"],
                size(kept.number("bytes")),
                moment(kept["kept_until"]),
                kept["clause"],
            )
            for kept in one.parts("kept")
        ]
        console().print(table(("kept", "size", "until", "by clause"), rows, right=("size",)))
    else:
        say("Nothing is kept of it.")


def event(one: Fields) -> None:
    """One event, as it comes."""
    from rich.text import Text

    kind = one["kind"]
    if kind == "state":
        text = one["state"] if one["state"] != "ended" else f"ended: {state(one)}"
        _line(one, Text(f"· {text}", style="bold"))
    elif kind == "prompt":
        _line(one, Text(f"> {one['text']}"))
    elif kind == "agent":
        for said in agent(one.part("event")):
            _line(one, said)
    elif kind == "git":
        style = "" if one["ok"] else "bold"
        _line(one, Text(f"git {one['step']}: {'done' if one['ok'] else 'failed'}", style=style))
        if one["text"] and not one["ok"]:
            _line(one, Text(one.text("text"), style="dim"))
    elif kind == "output":
        _line(one, Text(one.text("text"), style="dim"))


def agent(line: Fields) -> list[Text]:
    """A line of the agent's stream, as a person reads it."""
    from rich.text import Text

    if line["type"] == "result":
        return [Text(f"· the agent is done ({line.get('subtype', '')})", style="dim")]
    said: list[Text] = []
    for block in objects(members(line.get("message")).get("content")):
        if block.get("type") == "text":
            said.append(Text(str(block.get("text"))))
        elif block.get("type") == "tool_use":
            said.append(Text(f"$ {block.get('name')} {_short(block.get('input'))}", style="cyan"))
        elif block.get("type") == "tool_result":
            said.append(Text(_result(block.get("content")), style="dim"))
    return said


def connections(found: list[Fields]) -> None:
    """A session's connections."""
    if not found:
        say("No connection was made or tried.")
        return
    rows = [
        (
            one.text("at")[11:19],
            one["outcome"],
            one["rule"],
            f"{one['host']}:{one['port']}" if one["host"] else "",
            size(one.number("sent")),
            size(one.number("received")),
            f"{one['seconds']:.1f} s",
        )
        for one in found
    ]
    columns = ("at", "outcome", "by rule", "host", "sent", "received", "took")
    console().print(table(columns, rows, right=("sent", "received", "took")))


def patch(text: str) -> None:
    """A patch: coloured in a terminal, as it is in a pipe."""
    if console().is_terminal and text:
        from rich.syntax import Syntax

        console().print(Syntax(text, "diff", theme="ansi_dark", background_color="default"))
    else:
        write_text(text)


def _line(one: Fields, text: Text) -> None:
    """One event. What it says over several lines is set in, so that no line of it is another's."""
    from rich.text import Text

    before = f"{one.text('at')[11:19]} "
    for part in text.split("\n", allow_blank=True):
        console().print(Text(before, style="dim") + part, soft_wrap=True)
        before = " " * len(before)


def _short(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("command") or value.get("file_path") or value.get("pattern") or value
    return " ".join(str(value).split())[:200]


def _result(content: object) -> str:
    if isinstance(content, list):
        content = "\n".join(str(b.get("text", "")) for b in content if isinstance(b, dict))
    lines = str(content).splitlines()
    return "\n".join(lines[:12]) + (f"\n… {len(lines) - 12} more lines" if len(lines) > 12 else "")
