"""The commands that begin with a slash."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from bailee.agent.conversation import text_of
from bailee.agent.permissions import parse_rules
from bailee.agent.session import resumable
from bailee.agent.terminal import picking, reporting
from bailee.client.flows import all_flows
from bailee.errors import InputError, StorageError
from bailee.shown import lines as visible

if TYPE_CHECKING:
    from bailee.agent.terminal.app import Terminal

Handler = Callable[["Terminal", str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it takes, what it does in a few words, and the doing."""

    takes: str
    meaning: str
    run: Handler


async def _help(app: Terminal, _: str) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, command in app.commands.items():
        table.add_row(f"{name} {command.takes}".strip(), command.meaning)
    app.console.print(table)
    app.say(
        "Enter sends; Alt-Enter or Ctrl-J begins a new line. @file brings a file along, so does "
        "the path of an image. Ctrl-C or Escape stops the agent; Ctrl-D ends.",
        "dim",
    )


async def _clear(app: Terminal, _: str) -> None:
    old = app.session.id
    await app.open(replace(app.options, session=None, latest=False))
    app.say(f"A new session. The one before can be resumed: /resume {old[:8]}", "dim")


async def _resume(app: Terminal, which: str) -> None:
    chosen: str | None = which
    if not which:
        found = resumable(app.session.transcripts, str(app.session.workspace.root))
        found = [kept for kept in found if kept.session != app.session.id]
        chosen = await picking.pick(
            app.console, found, app.session.transcripts, app.session.workspace.root, app.now()
        )
    if chosen is not None:
        await app.open(replace(app.options, session=chosen, latest=False))
        app.show_last()


async def _model(app: Terminal, name: str) -> None:
    if not name:
        app.say(app.session.agent.model.name)
        return
    app.use_model(name)
    app.say(f"The model is {name} from now on.")


async def _permissions(app: Terminal, text: str) -> None:
    if text:
        effect, _, rules = text.partition(" ")
        if effect not in ("allow", "deny", "forget") or not rules.strip():
            raise InputError(
                "that can't be read.", hint="/permissions [allow|deny|forget RULE], as Bash(ls:*)"
            )
        held = app.session.agent.rules
        made = parse_rules([rules])
        if effect == "forget":
            held = replace(held, allow=tuple(rule for rule in held.allow if rule not in made))
        else:
            field: dict[str, tuple[object, ...]] = {effect: (*getattr(held, effect), *made)}
            held = replace(held, **field)  # type: ignore[arg-type]
        app.session.agent.rules = held
    held = app.session.agent.rules
    for effect, some in (("allow", held.allow), ("ask", held.ask), ("deny", held.deny)):
        app.say(f"{effect:6} {', '.join(str(rule) for rule in some) or 'none'}")
    app.say("Reading the workspace needs no rule; all else is asked.", "dim")
    app.say("These rules end with the session; settings.json keeps them (permissions).", "dim")
    app.say(app.session.sandbox.sentence, "dim")


async def _privacy(app: Terminal, _: str) -> None:
    known = await app.ask_recorded()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("this session, at the service", ", ".join(known.words))
    if known.recorded:
        table.add_row("by clause", known.clause or "unknown")
    if known.plan is not None:
        table.add_row("plan", known.plan)
        table.add_row("training", known.choice or "no choice made")
    days = app.machine.keep_days
    kept = "not kept" if days == 0 else f"kept for {days} days, encrypted"
    table.add_row("this session, on this machine", kept)
    table.add_row("commands", app.session.sandbox.label)
    app.console.print(table)
    if known.recorded is None:
        app.say("The console could not be asked; BAILEE_CONSOLE_URL says where it is.", "dim")
    app.say("/flows: what leaves this machine. /quit --delete: end, and forget it here.", "dim")


async def _flows(app: Terminal, _: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "flow", "to", "decided by"):
        table.add_column(column, overflow="fold")
    for flow in all_flows(
        app.machine.policy,
        app.machine.settings,
        sandboxed=app.session.sandbox.program is not None,
    ):
        table.add_row(
            "on" if flow.on else "off",
            flow.label,
            visible(flow.destination),
            visible(flow.decided_by),
        )
    app.console.print(table)
    refused = app.session.egress.refused if app.session.egress is not None else {}
    if refused:
        hosts = ", ".join(f"{visible(host)} ({count})" for host, count in refused.items())
        app.say(f"Commands asked in vain for {hosts}.", "yellow")
    app.say("`bailee outbox` shows the exact bytes of what was sent.", "dim")


async def _export(app: Terminal, name: str) -> None:
    file = Path(name or f"session-{app.session.id[:8]}.md")
    messages = app.session.agent.conversation.messages
    if file.suffix == ".json":
        text = json.dumps({"session": app.session.id, "messages": messages}, indent=1)
    else:
        text = as_markdown(messages)
    target = app.session.workspace.root / file.expanduser()
    try:
        with target.open("x") as opened:
            opened.write(text)
    except FileExistsError:
        raise InputError(f"{target} is there already.", hint="/export NAME") from None
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error.strerror}.") from None
    app.say(f"Written to {target}. It is not encrypted, and nothing deletes it for you.")


async def _compact(app: Terminal, focus: str) -> None:
    await app.watch(app.session.agent.compact(focus))


async def _cost(app: Terminal, _: str) -> None:
    spent = app.session.agent.conversation.spent
    names = {
        "input_tokens": "input",
        "cache_creation_input_tokens": "input, put into the cache",
        "cache_read_input_tokens": "input, from the cache",
        "output_tokens": "output",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, words in names.items():
        table.add_row(words, f"{spent.get(name, 0):,} tokens")
    table.add_row("context now", f"{app.session.agent.conversation.tokens:,} tokens")
    app.console.print(table)
    app.say("What they cost depends on your contract.", "dim")


async def _survey(app: Terminal, what: str) -> None:
    if what not in ("never", "again"):
        raise InputError("that can't be read.", hint="/survey never, or /survey again")
    try:
        app.rating.never(what == "never")
    except OSError as error:
        raise StorageError(f"this can't be remembered: {error.strerror}.") from None
    app.say(
        "You are never asked again, on this machine. /survey again takes it back."
        if what == "never"
        else "You may be asked again, at most once in fourteen days."
    )


async def _quit(app: Terminal, how: str) -> None:
    if how not in ("", "--delete"):
        raise InputError("that can't be read.", hint="/quit, or /quit --delete")
    if how:
        app.forget()
        app.say("Forgotten on this machine. What the service keeps of it: see /privacy there.")
    app.done = True


COMMANDS: Final[dict[str, Command]] = {
    "/help": Command("", "this list", _help),
    "/clear": Command("", "begin a new session", _clear),
    "/resume": Command("[ID]", "go on with another session", _resume),
    "/model": Command("[NAME]", "which model, or another one", _model),
    "/permissions": Command("[allow|deny|forget RULE]", "what needs no asking", _permissions),
    "/privacy": Command("", "what is kept of this session, and where", _privacy),
    "/flows": Command("", "what leaves this machine", _flows),
    "/bug": Command(
        "[WHAT HAPPENED]", "report a fault; shows first what would go", reporting.report
    ),
    "/feedback": Command("[WHAT HAPPENED]", "the same as /bug", reporting.report),
    "/survey": Command("never|again", "whether you may be asked how it goes", _survey),
    "/export": Command("[FILE]", "write the conversation to a file (.md or .json)", _export),
    "/compact": Command("[WHAT MATTERS]", "sum the conversation up and go on from that", _compact),
    "/cost": Command("", "how many tokens this session took", _cost),
    "/quit": Command("[--delete]", "end; with --delete forget the session here", _quit),
}


def as_markdown(messages: list[dict[str, object]]) -> str:
    """A conversation for people to read. Pure."""
    parts = []
    for message in messages:
        content: list[dict[str, object]] = message["content"]  # type: ignore[assignment]
        if text := text_of(content):
            parts.append(f"## {'You' if message['role'] == 'user' else 'The agent'}\n\n{text}")
        for block in content:
            if block["type"] == "tool_use":
                arguments = json.dumps(block["input"], ensure_ascii=False, indent=1)
                parts.append(f"### {block['name']}\n\n```json\n{arguments}\n```")
            elif block["type"] == "tool_result":
                said = block["content"]
                shown = said if isinstance(said, str) else "[not text]"
                fence = "`" * max(3, *(len(r) + 1 for r in _runs(shown)), 3)
                parts.append(f"{fence}\n{shown}\n{fence}")
    return "\n\n".join(parts) + "\n"


def _runs(text: str) -> list[str]:
    return re.findall("`+", text) or [""]
