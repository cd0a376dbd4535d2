"""The commands that begin with a slash. What each takes and does is said in the catalogue."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from bailee.agent.permissions import parse_rules
from bailee.agent.session import resumable
from bailee.agent.terminal import flow_switch, picking, reporting
from bailee.agent.terminal.keeping import PersonKeeps, as_markdown
from bailee.agent.terminal.sitting import Sitting
from bailee.client.flows import all_flows
from bailee.client.machine import ClientMachine
from bailee.errors import InputError, StorageError

Command = Callable[[Sitting, str], Awaitable[None]]


def there(machine: ClientMachine) -> list[str]:
    """The commands there are: a switch may take one away."""
    on = reporting.is_on(machine)
    return [name for name in COMMANDS if on or name not in reporting.NAMES]


async def _help(sitting: Sitting, _: str) -> None:
    words = sitting.screen.words
    rows = []
    for name in there(sitting.machine):
        takes = words.texts.get(f"takes.{name[1:]}", "")
        rows.append((f"{name} {takes}".strip(), words(f"help.{name[1:]}")))
    sitting.screen.table(rows)
    sitting.screen.say(words("help.keys"), "dim")


async def _clear(sitting: Sitting, _: str) -> None:
    old = sitting.session.id
    await sitting.open(replace(sitting.options, session=None, latest=False))
    sitting.screen.say(sitting.screen.words("command.cleared", session=old[:8]), "dim")


async def _resume(sitting: Sitting, which: str) -> None:
    chosen: str | None = which
    if not which:
        session = sitting.session
        root = session.workspace.root
        found = [k for k in resumable(session.transcripts, str(root)) if k.session != session.id]
        keeps = PersonKeeps(sitting.machine, session.transcripts, root, sitting.screen.words)
        chosen = await picking.pick(sitting.screen, found, keeps, root, sitting.now())
    if chosen is not None:
        await sitting.open(replace(sitting.options, session=chosen, latest=False))
        sitting.show_last()


async def _model(sitting: Sitting, name: str) -> None:
    if not name:
        sitting.screen.say(sitting.session.agent.model.name)
        return
    sitting.use_model(name)
    sitting.screen.say(sitting.screen.words("command.model", name=name))


async def _permissions(sitting: Sitting, text: str) -> None:
    screen, words, agent = sitting.screen, sitting.screen.words, sitting.session.agent
    if text:
        effect, _, rules = text.partition(" ")
        if effect not in ("allow", "deny", "forget") or not rules.strip():
            raise InputError(words("run.not_understood"), hint=words("command.rules_hint"))
        made = parse_rules([rules])
        held = agent.rules
        if effect == "forget":
            held = replace(held, allow=tuple(rule for rule in held.allow if rule not in made))
        else:
            field: dict[str, tuple[object, ...]] = {effect: (*getattr(held, effect), *made)}
            held = replace(held, **field)  # type: ignore[arg-type]
        agent.rules = held
    for effect in ("allow", "ask", "deny"):
        some = ", ".join(str(rule) for rule in getattr(agent.rules, effect))
        screen.say(f"{effect:6} {some or words('command.none')}")
    screen.say(words("command.reading"), "dim")
    screen.say(words("command.rules_end"), "dim")
    screen.say(sitting.session.sandbox.sentence(words), "dim")


async def _privacy(sitting: Sitting, _: str) -> None:
    screen, words = sitting.screen, sitting.screen.words
    known = await sitting.ask_recorded()
    rows = [(words("command.at_the_service"), words("list.comma").join(known.told(words)))]
    if known.recorded:
        rows.append((words("command.by_clause"), known.clause or words("command.unknown")))
    if known.plan is not None:
        choice = words.texts.get(f"command.choice_{known.choice or 'none'}", known.choice)
        rows.append((words("command.plan"), known.plan))
        rows.append((words("command.training"), choice or ""))
    days = sitting.machine.keep_days
    kept = words("command.not_kept") if days == 0 else words.count("command.kept_days", days)
    rows.append((words("command.on_this_machine"), kept))
    rows.append((words("command.commands"), sitting.session.sandbox.label(words)))
    screen.table(rows)
    if known.recorded is None:
        screen.say(words("command.no_console"), "dim")
    screen.say(words("command.see_also"), "dim")


async def _flows(sitting: Sitting, text: str) -> None:
    if text:
        verb, _, flow = text.partition(" ")
        if verb not in ("on", "off"):
            words = sitting.screen.words
            raise InputError(words("run.not_understood"), hint=words("command.flows_hint"))
        await flow_switch.switch(sitting, verb, flow.strip())
        return
    screen, words, machine = sitting.screen, sitting.screen.words, sitting.machine
    boxed = sitting.session.sandbox.program is not None
    found = all_flows(machine.policy, machine.settings, words.language, sandboxed=boxed)
    on, off = words("command.on"), words("command.off")
    screen.table(
        [(on if o.on else off, o.label, o.destination, o.decided_by) for o in found],
        ("", words("command.flow"), words("command.flow_to"), words("command.flow_by")),
    )
    refused = sitting.session.egress.refused if sitting.session.egress is not None else {}
    if refused:
        hosts = words("list.comma").join(f"{host} ({count})" for host, count in refused.items())
        screen.say(words("command.refused_hosts", hosts=hosts), "yellow")
    screen.say(words("command.flows_verbs"), "dim")
    screen.say(words("command.outbox"), "dim")


async def _export(sitting: Sitting, name: str) -> None:
    words, session = sitting.screen.words, sitting.session
    file = Path(name or f"session-{session.id[:8]}.md")
    messages = session.agent.conversation.messages
    if file.suffix == ".json":
        text = json.dumps({"session": session.id, "messages": messages}, indent=1)
    else:
        text = as_markdown(messages, words)
    target = session.workspace.root / file.expanduser()
    try:
        with target.open("x") as opened:
            opened.write(text)
    except FileExistsError:
        raise InputError(words("command.exists", file=target), hint="/export NAME") from None
    except OSError as error:
        why = words("command.not_written", file=target, why=error.strerror)
        raise StorageError(why) from None
    sitting.screen.say(words("command.written", file=target))


async def _compact(sitting: Sitting, focus: str) -> None:
    await sitting.watch(sitting.session.agent.compact(focus))


async def _cost(sitting: Sitting, _: str) -> None:
    words, conversation = sitting.screen.words, sitting.session.agent.conversation
    names = {
        "input": conversation.spent.get("input_tokens", 0),
        "cache_written": conversation.spent.get("cache_creation_input_tokens", 0),
        "cache_read": conversation.spent.get("cache_read_input_tokens", 0),
        "output": conversation.spent.get("output_tokens", 0),
        "context": conversation.tokens,
    }
    sitting.screen.table(
        [
            (words(f"cost.{name}"), words("cost.tokens", number=f"{number:,}"))
            for name, number in names.items()
        ]
    )
    sitting.screen.say(words("cost.contract"), "dim")


async def _survey(sitting: Sitting, what: str) -> None:
    words = sitting.screen.words
    if what not in ("never", "again"):
        raise InputError(words("run.not_understood"), hint=words("command.survey_hint"))
    try:
        sitting.rating.never(what == "never")
    except OSError as error:
        raise StorageError(words("command.not_remembered", why=error.strerror)) from None
    sitting.screen.say(words(f"command.survey_{what}"))


async def _quit(sitting: Sitting, how: str) -> None:
    words = sitting.screen.words
    if how not in ("", "--delete"):
        raise InputError(words("run.not_understood"), hint=words("command.quit_hint"))
    if how:
        sitting.forget()
        sitting.screen.say(words("command.forgotten"))
    sitting.done = True


COMMANDS: Final[dict[str, Command]] = {
    "/help": _help,
    "/clear": _clear,
    "/resume": _resume,
    "/model": _model,
    "/permissions": _permissions,
    "/privacy": _privacy,
    "/flows": _flows,
    "/bug": reporting.report,
    "/feedback": reporting.report,
    "/survey": _survey,
    "/export": _export,
    "/compact": _compact,
    "/cost": _cost,
    "/quit": _quit,
}
