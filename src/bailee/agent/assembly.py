"""From settings to a session: the agent on this person's machine, with what their settings say.

Rows: R3 (the agent's own transcripts).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bailee.agent.measuring import Measuring
from bailee.agent.permissions import Rules, parse_rules
from bailee.agent.ports import Asker, Transcripts
from bailee.agent.session import Options, Session, start
from bailee.client.background import Background
from bailee.client.flows import provider_of
from bailee.client.machine import Machine
from bailee.client.settings import Settings


def assembled(
    options: Options,
    machine: Machine,
    *,
    asker: Asker | None = None,
    transcripts: Transcripts | None = None,
    background: Background | None = None,
) -> Session:
    """A session as this machine's settings want it; measured where there is a `background`.

    Raises:
        InputError: see `session.start`.
    """
    settings = machine.settings
    chosen = settings.values.get("model")
    held = variables(machine)
    options = replace(
        options,
        model=options.model
        or held.get("ANTHROPIC_MODEL")
        or (str(chosen.value) if chosen is not None else None),
        sandbox=options.sandbox and settings.flag("sandbox"),
    )
    made = start(
        options,
        held,
        now=machine.clock(),
        rules=rules_of(settings),
        asker=asker,
        transcripts=transcripts or machine.transcripts(),
        hidden=(machine.data, Path(held.get("BAILEE_HOME") or "/nonexistent")),
    )
    if background is not None:
        provider, _ = provider_of(machine.policy, settings)
        made.measuring = Measuring(background, provider=provider)
        made.measuring.began(
            "fresh" if not made.resumed else "continue" if options.latest else "resume"
        )
    return made


def rules_of(settings: Settings) -> Rules:
    """The permission rules that the settings hold."""
    made = {kind: parse_rules(c.value for c in found) for kind, found in settings.rules.items()}
    return Rules(made.get("allow", ()), made.get("ask", ()), made.get("deny", ()))


def variables(machine: Machine) -> dict[str, str]:
    """The variables that hold: the environment's, and those of the settings' `env` blocks."""
    settings = machine.settings
    held = {name: c.value for name, c in {**settings.env, **settings.switches}.items()}
    return {**machine.environment, **held}
