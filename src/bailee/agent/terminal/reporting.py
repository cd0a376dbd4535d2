"""`/bug`: what would go is shown first, each part can be left out, and nothing goes unasked.

Rows: F1 (the client's side), S3.
"""

from __future__ import annotations

import asyncio

from bailee.agent.terminal import issue
from bailee.agent.terminal.screen import Choice, Screen
from bailee.agent.terminal.sitting import Sitting
from bailee.client.bug_report import ReportDraft, draft, environment
from bailee.client.flows import provider_of
from bailee.client.machine import ClientMachine
from bailee.client.sender import SendOutcome

NAMES = ("/bug", "/feedback")
_KEYS = {"description": "d", "transcript": "t", "errors": "e", "environment": "o"}


def is_on(machine: ClientMachine) -> bool:
    """Whether there is such a command: a switch that turns the flow off takes it away."""
    return machine.flow("bug_report").on


async def report(sitting: Sitting, description: str) -> None:
    """From a description to a report's id, or to nothing sent."""
    screen, machine, words = sitting.screen, sitting.machine, sitting.screen.words
    text = description or await screen.ask(words("report.question"))
    if not text:
        screen.say(words("report.nothing"))
        return
    provider, _ = provider_of(machine.policy, machine.settings)
    agent = sitting.session.agent
    terminal = sitting.session.environment.get("TERM", "")
    about = environment(provider=provider, model=agent.model.name, terminal=terminal)
    errors = list(screen.errors)
    made = draft(text, transcript=agent.conversation.messages, errors=errors, environment=about)
    final = await _edited(screen, machine, made)
    if final is None:
        screen.say(words("report.nothing"))
        return
    item = machine.queue(final.payload())
    if item is None:
        screen.say(words("report.turned_off"))
        return
    outcomes = await asyncio.to_thread(machine.send, hurry=True, only=item.id)
    if not outcomes:
        screen.say(words("report.busy"), "yellow")
    for outcome in outcomes:
        _tell(screen, outcome)
    screen.say(words("report.bytes", item=item.id), "dim")
    content = final.content
    await issue.offer(
        screen,
        machine,
        text if "description" in content else "",
        errors if "errors" in content else [],
        about if "environment" in content else {},
    )


def _tell(screen: Screen, outcome: SendOutcome) -> None:
    """What became of the report."""
    words = screen.words
    if outcome.became == "sent":
        number = outcome.item.answer or words("command.unknown")
        screen.say(words("report.sent", number=number))
        screen.say(words("report.withdraw", number=number), "dim")
    elif outcome.became == "waiting":
        screen.say(words("report.waiting", why=outcome.why), "yellow")
    else:
        became = words(f"report.became_{outcome.became}")
        screen.say(words("report.failed", became=became, why=outcome.why), "yellow")


async def _edited(screen: Screen, machine: ClientMachine, made: ReportDraft) -> ReportDraft | None:
    """What the person made of it; None when they would rather not."""
    words = screen.words
    while True:
        _show(screen, machine, made)
        choices = [
            Choice("s", "send", words("report.send")),
            Choice("p", "preview", words("report.preview")),
        ]
        for part in made.sizes:
            verb = "report.bring_back" if part in made.left_out else "report.leave_out"
            choices.append(Choice(_KEYS[part], part, words(verb, part=words(f"part.{part}"))))
        if made.secrets:
            choices.append(Choice("k", "keep", words("report.keep")))
        choices.append(Choice("x", "cancel", words("report.cancel")))
        chosen = await screen.choose(choices, default="cancel")
        if chosen == "cancel":
            return None
        if chosen == "send":
            return made
        if chosen == "preview":
            screen.say(made.preview)
        elif chosen == "keep":
            made = await _kept(screen, made)
        else:
            part = next(p for p in made.parts if p == chosen)
            made = made.with_(part) if part in made.left_out else made.without(part)


def _show(screen: Screen, machine: ClientMachine, made: ReportDraft) -> None:
    """Where it would go, what would go, and for how long it would stay."""
    words = screen.words
    screen.say(words("report.goes_to", where=machine.flow("bug_report").destination))
    rows = [
        (f"  {words(f'part.{part}')}", words("report.bytes_of", size=size), left)
        for part, size in made.sizes.items()
        for left in [words("report.left_out") if part in made.left_out else ""]
    ]
    screen.table(rows)
    for secret in made.secrets:
        how = words("report.as_it_is" if secret.number in made.kept else "report.masked")
        told = words.count(
            "report.secret",
            secret.places,
            secret=secret.number,
            how=how,
            kind=secret.kind,
            beginning=secret.beginning,
        )
        screen.say(told, "dim", indent=2)
    facts = {
        **{"data_class": "feedback_report", "plan": "pro", "channel": "api"},
        **{"training_choice": "none", "zero_retention": False, "partner_programme": False},
    }
    period = machine.policy.explain("retain", facts).clause.text  # in the policy's own words
    screen.say(period.of(words.language), "dim")


async def _kept(screen: Screen, made: ReportDraft) -> ReportDraft:
    """The draft with one more secret left as it is, or masked again."""
    number = await screen.ask(screen.words("report.which"))
    if not number:
        return made
    wanted = int(number) if number.isdecimal() else 0
    if wanted not in {secret.number for secret in made.secrets}:
        screen.say(screen.words("report.no_such"), "yellow")
        return made
    return made.masking(wanted) if wanted in made.kept else made.keeping(wanted)
