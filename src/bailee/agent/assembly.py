"""From settings to a session: the agent on this person's machine, with what their settings say.

Rows: R3 (the agent's own transcripts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.agent.measuring import Measuring
from bailee.agent.permissions import PermissionRules, parse_rules
from bailee.agent.ports import Asker, Transcripts
from bailee.agent.sandbox import SandboxTrial
from bailee.agent.session import AgentSession, Options, start
from bailee.agent.tools.box import Tool
from bailee.agent.variables import for_commands
from bailee.client.background import Background
from bailee.client.flows import provider_of
from bailee.client.machine import ClientMachine
from bailee.client.sender import network
from bailee.client.servers import McpServer, server
from bailee.client.settings import ClientSettings
from bailee.outbound.network import Network

if TYPE_CHECKING:
    from bailee.client.bounds_question import BoundsQuestion


def assembled(
    options: Options,
    machine: ClientMachine,
    *,
    asker: Asker | None = None,
    transcripts: Transcripts | None = None,
    background: Background | None = None,
    permitted: Sequence[McpServer] = (),
    trial: SandboxTrial | None = None,
) -> AgentSession:
    """A session as this machine's settings want it; measured where there is a `background`. What
    the server's document leaves of web pages and MCP servers is asked for where there are any.
    `permitted`: MCP servers that a project proposes and the person said yes to; `trial`: see
    `session.start`.

    Raises:
        InputError: see `session.start`.
    """
    settings = machine.settings
    asked = _asked(machine) if settings.flag("webFetch") or settings.servers or permitted else None
    way = network(settings)
    chosen = settings.values.get("model")
    held = variables(machine)
    options = replace(
        options,
        model=options.model
        or held.get("ANTHROPIC_MODEL")
        or (str(chosen.value) if chosen is not None else None),
        sandbox=options.sandbox and settings.flag("sandbox"),
        hosts=_listed(settings, "sandbox.network"),
        readable=[Path(path).expanduser() for path in _listed(settings, "sandbox.read")],
        writable=_listed(settings, "sandbox.write"),
        variables=_listed(settings, "sandbox.environment"),
    )
    made = start(
        options,
        held,
        now=machine.clock(),
        rules=rules_of(settings),
        asker=asker,
        transcripts=transcripts or machine.transcripts(),
        more_tools=_web(way, asked) if asked is not None and settings.flag("webFetch") else [],
        network=way,
        trial=trial,
        hidden=(machine.data, Path(held.get("BAILEE_HOME") or "/nonexistent")),
    )
    wanted = [server(name, one.value) for name, one in settings.servers.items()]
    wanted = [*(one.expanded(held.get) for one in wanted), *permitted]
    if asked is not None and wanted:
        from bailee.agent.mcp_servers import Servers
        from bailee.client.agent_bounds import closing_server

        bounds = asked.afresh().settings.bounds
        closed = {one.name: closing_server(bounds, one) for one in wanted}
        made.servers = Servers(
            [one for one in wanted if closed[one.name] is None],
            way,
            str(made.workspace.root),
            [
                f"The MCP server {name} is not started. {by.said}"
                for name, by in closed.items()
                if by is not None
            ],
        )
    if background is not None:
        provider, _ = provider_of(machine.policy, settings)
        made.measuring = Measuring(background, provider=provider)
        made.measuring.began(
            "fresh" if not made.resumed else "continue" if options.latest else "resume"
        )
    return made


def _asked(machine: ClientMachine) -> BoundsQuestion:
    from bailee.client.bounds_question import BoundsQuestion  # here: most sessions ask nothing

    return BoundsQuestion(machine)


def _web(way: Network, asked: BoundsQuestion) -> Sequence[Tool]:
    from bailee.agent.tools.web import WebFetch

    return [WebFetch(way, bounds=lambda: asked.afresh().settings.bounds)]


def proposed(machine: ClientMachine) -> list[McpServer]:
    """The MCP servers that the project would like and the person's own settings don't have. Of the
    variables in them, those that no command gets stand for nothing: they may be credentials.
    """
    settings = machine.settings
    held = for_commands(variables(machine), _listed(settings, "sandbox.environment"))
    return [
        server(name, one.value).expanded(held.get)
        for name, one in settings.proposed.items()
        if name not in settings.servers
    ]


def rules_of(settings: ClientSettings) -> PermissionRules:
    """The permission rules that the settings hold."""
    made = {kind: parse_rules(c.value for c in found) for kind, found in settings.rules.items()}
    return PermissionRules(made.get("allow", ()), made.get("ask", ()), made.get("deny", ()))


def _listed(settings: ClientSettings, name: str) -> tuple[str, ...]:
    found = settings.values.get(name)
    return () if found is None else found.value


def variables(machine: ClientMachine) -> dict[str, str]:
    """The variables that hold: the environment's, and those of the settings' `env` blocks."""
    settings = machine.settings
    held = {name: c.value for name, c in {**settings.env, **settings.switches}.items()}
    return {**machine.environment, **held}
