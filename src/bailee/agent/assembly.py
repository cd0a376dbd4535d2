"""From settings to a session: the agent on this person's machine, with what their settings say.

Rows: R3 (the agent's own transcripts).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bailee.agent.permissions import Rules, parse_rules
from bailee.agent.ports import Asker
from bailee.agent.session import Options, Session, start
from bailee.client import files
from bailee.client.local_key import machine_key
from bailee.client.settings import Settings
from bailee.client.transcripts import LocalTranscripts
from bailee.clock import system_clock
from bailee.policy import Policy, load


def assembled(
    options: Options,
    environment: Mapping[str, str],
    given: str | None = None,
    *,
    asker: Asker | None = None,
) -> Session:
    """A session as this machine's settings want it. `given` is the value of `--settings`.

    Raises:
        InputError: see `session.start`, and `given` is wrong.
    """
    policy = load()
    settings = files.read(policy, options.folder, option=given, environment=environment)
    chosen = settings.values.get("model")
    options = replace(
        options,
        model=options.model
        or environment.get("ANTHROPIC_MODEL")
        or (str(chosen.value) if chosen is not None else None),
        sandbox=options.sandbox and settings.flag("sandbox"),
    )
    return start(
        options,
        variables(settings, environment),
        now=system_clock(),
        rules=rules_of(settings),
        asker=asker,
        transcripts=local_transcripts(policy, settings),
        hidden=(files.data_folder(), Path(os.environ.get("BAILEE_HOME", "/nonexistent"))),
    )


def local_transcripts(policy: Policy, settings: Settings) -> LocalTranscripts:
    """Where sessions are kept on this machine, for as many days as the person wants."""
    folder = files.data_folder()
    chosen = settings.keep_days
    days = policy.local_transcript_days(None if chosen is None else chosen.value)
    return LocalTranscripts(folder / "transcripts", lambda: machine_key(folder), days=days)


def rules_of(settings: Settings) -> Rules:
    """The permission rules that the settings hold."""
    made = {kind: parse_rules(c.value for c in found) for kind, found in settings.rules.items()}
    return Rules(made.get("allow", ()), made.get("ask", ()), made.get("deny", ()))


def variables(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold: the environment's, and those of the settings' `env` blocks."""
    held = {name: c.value for name, c in {**settings.env, **settings.switches}.items()}
    return {**environment, **held}
