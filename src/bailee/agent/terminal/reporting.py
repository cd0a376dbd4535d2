"""`/bug`: what would go is shown first, each part can be left out, and nothing goes unasked.

Rows: F1 (the client's side), S3.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from bailee.agent.terminal.asking import ask_line, choose
from bailee.agent.terminal.training import language_of
from bailee.agent.terminal.writing import visible
from bailee.client.bug_report import Draft, draft, environment
from bailee.client.flows import provider_of
from bailee.client.machine import Machine

if TYPE_CHECKING:
    from bailee.agent.terminal.app import Terminal

NAMES = ("/bug", "/feedback")


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
    made = draft(
        text,
        transcript=app.session.agent.conversation.messages,
        errors=app.errors,
        environment=environment(provider=provider, model=app.session.agent.model.name),
    )
    final = await _edited(app, made)
    if final is None:
        app.say("Nothing is sent.")
        return
    item = app.machine.queue(final.payload())
    if item is None:
        app.say("Nothing is sent: it has been turned off.")
        return
    outcomes = await asyncio.to_thread(app.machine.send, hurry=True, only=item.id)
    for outcome in outcomes:
        if outcome.became == "sent":
            report_id = _id(outcome.item.answer)
            app.say(f"Sent. The report's id is {report_id}.")
            app.say(f"To withdraw it: bailee feedback withdraw {report_id}", "dim")
        else:
            app.say(f"Not sent yet ({outcome.became}): {outcome.why}", "yellow")
    app.say(f"Its exact bytes: bailee outbox show {item.id}", "dim")


async def _edited(app: Terminal, made: Draft) -> Draft | None:
    """What the person made of it; None when they would rather not."""
    flow = app.machine.flow("bug_report")
    app.say(_period(app), "dim")
    while True:
        app.say(f"This would go to {flow.destination}:")
        for part, size in made.sizes.items():
            left = "  left out" if part in made.left_out else ""
            app.say(f"  {part:12} {size:8} bytes{left}")
        for secret in made.secrets:
            app.say(f"  masked: {secret.kind} {secret.beginning}, in {secret.places} places", "dim")
        choices = [("s", "send", "send it"), ("p", "preview", "see the exact text")]
        for key, part in zip("dteo", made.sizes, strict=False):
            verb = "bring back" if part in made.left_out else "leave out"
            choices.append((key, part, f"{verb} the {part}"))
        chosen = await choose([*choices, ("x", "cancel", "send nothing")], default="cancel")
        if chosen == "cancel":
            return None
        if chosen == "send":
            return made
        if chosen == "preview":
            app.say(visible(made.preview))
        else:
            part = next(p for p in made.sizes if p == chosen)
            held = made.parts.keys()
            known = next(p for p in held if p == part)
            made = made.with_(known) if known in made.left_out else made.without(known)


def _period(app: Terminal) -> str:
    """For how long a report is kept, in the policy's own words."""
    facts = {
        **{"data_class": "feedback_report", "plan": "pro", "channel": "api"},
        **{"training_choice": "none", "zero_retention": False, "partner_programme": False},
    }
    found = app.machine.policy.explain("retain", facts)
    return found.clause.text.of(language_of(app.machine.environment))


def _id(answer: str | None) -> str:
    """The id in what the service answered."""
    try:
        found = json.loads(answer or "")
    except ValueError:
        return visible(answer or "unknown")
    if isinstance(found, dict):
        found = next((found[name] for name in ("feedback_id", "id") if name in found), "unknown")
    return visible(str(found))
