"""`/bug`: what would go is shown first, each part can be left out, and nothing goes unasked.

Rows: F1 (the client's side), S3.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bailee.agent.terminal import issue
from bailee.agent.terminal.asking import ask_line, choose
from bailee.agent.terminal.training import language_of
from bailee.client.bug_report import Draft, draft, environment
from bailee.client.flows import provider_of
from bailee.client.machine import Machine
from bailee.shown import lines as visible

if TYPE_CHECKING:
    from bailee.agent.terminal.app import Terminal

NAMES = ("/bug", "/feedback")
_KEYS = {"description": "d", "transcript": "t", "errors": "e", "environment": "o"}


def is_on(machine: Machine) -> bool:
    """Whether there is such a command: a switch that turns the flow off takes it away."""
    return machine.flow("bug_report").on


async def report(app: Terminal, description: str) -> None:
    """From a description to a report's id, or to nothing sent."""
    text = description or await ask_line("What happened? (Enter: cancel) ")
    if not text:
        app.say("Nothing is sent.")
        return
    provider, _ = provider_of(app.machine.policy, app.machine.settings)
    about = environment(
        provider=provider,
        model=app.session.agent.model.name,
        terminal=app.session.environment.get("TERM", ""),
    )
    final = await _edited(
        app,
        draft(
            text,
            transcript=app.session.agent.conversation.messages,
            errors=app.errors,
            environment=about,
        ),
    )
    if final is None:
        app.say("Nothing is sent.")
        return
    item = app.machine.queue(final.payload())
    if item is None:
        app.say("Nothing is sent: it has been turned off.")
        return
    outcomes = await asyncio.to_thread(app.machine.send, hurry=True, only=item.id)
    if not outcomes:
        app.say("Not sent yet: something else is being sent. It waits in the outbox.", "yellow")
    for outcome in outcomes:
        if outcome.became == "sent":
            number = visible(outcome.item.answer or "unknown")
            app.say(f"Sent. The report's id is {number}.")
            app.say(f"To withdraw it: bailee feedback withdraw {number}", "dim")
        elif outcome.became == "waiting":
            app.say(f"Not sent yet: {outcome.why}. It waits in the outbox.", "yellow")
        else:
            app.say(f"Not sent ({outcome.became}): {outcome.why}", "yellow")
    app.say(f"Its exact bytes: bailee outbox show {item.id}", "dim")
    content = final.content
    await issue.offer(
        app,
        text if "description" in content else "",
        app.errors if "errors" in content else [],
        about if "environment" in content else {},
    )


async def _edited(app: Terminal, made: Draft) -> Draft | None:
    """What the person made of it; None when they would rather not."""
    while True:
        _show(app, made)
        choices = [("s", "send", "send it"), ("p", "preview", "see the exact text")]
        for part in made.sizes:
            verb = "bring back" if part in made.left_out else "leave out"
            choices.append((_KEYS[part], part, f"{verb} the {part}"))
        if made.secrets:
            choices.append(("k", "keep", "send one of the secrets as it is, on purpose"))
        chosen = await choose([*choices, ("x", "cancel", "send nothing")], default="cancel")
        if chosen == "cancel":
            return None
        if chosen == "send":
            return made
        if chosen == "preview":
            app.say(visible(made.preview))
        elif chosen == "keep":
            made = await _kept(app, made)
        else:
            part = next(p for p in made.parts if p == chosen)
            made = made.with_(part) if part in made.left_out else made.without(part)


def _show(app: Terminal, made: Draft) -> None:
    """Where it would go, what would go, and for how long it would stay."""
    app.say(f"This would go to {app.machine.flow('bug_report').destination}:")
    for part, size in made.sizes.items():
        left = "  left out" if part in made.left_out else ""
        app.say(f"  {part:12} {size:8} bytes{left}")
    for secret in made.secrets:
        how = "as it is" if secret.number in made.kept else "masked"
        places = "1 place" if secret.places == 1 else f"{secret.places} places"
        app.say(f"  {secret.number} {how}: {secret.kind} {secret.beginning}, in {places}", "dim")
    app.say(_period(app), "dim")


def _period(app: Terminal) -> str:
    """For how long a report is kept, in the policy's own words."""
    facts = {
        **{"data_class": "feedback_report", "plan": "pro", "channel": "api"},
        **{"training_choice": "none", "zero_retention": False, "partner_programme": False},
    }
    found = app.machine.policy.explain("retain", facts)
    return found.clause.text.of(language_of(app.machine.environment))


async def _kept(app: Terminal, made: Draft) -> Draft:
    """The draft with one more secret left as it is, or masked again."""
    number = await ask_line("Which number? (Enter: none) ")
    if not number:
        return made
    wanted = int(number) if number.isdecimal() else 0
    if wanted not in {secret.number for secret in made.secrets}:
        app.say("There is no such number.", "yellow")
        return made
    return made.masking(wanted) if wanted in made.kept else made.keeping(wanted)
