"""Putting an agent together for a folder: what the settings, the flags and the machine say.

The only module of the agent that knows them all. What it makes is plain: an `Agent` and what a
status line needs to know about it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.agent import events, instructions, sandbox
from bailee.agent.endpoint import endpoint
from bailee.agent.inside import Granted
from bailee.agent.messages_api import MessagesApi
from bailee.agent.permissions import PermissionRules, parse_rules
from bailee.agent.ports import Asker, Block, Model, Record, ResumableSession, Transcripts
from bailee.agent.prompts import system_prompt
from bailee.agent.tools.bash import Bash
from bailee.agent.tools.box import Tool, Toolbox
from bailee.agent.tools.files import Edit, Read, SeenFiles, Write
from bailee.agent.tools.search import Glob, Grep
from bailee.agent.tools.todo import TodoWrite
from bailee.agent.transcripts import InMemory
from bailee.agent.turns import Agent, Interrupted, TurnLimits
from bailee.agent.workspace import Workspace
from bailee.errors import InputError
from bailee.json_values import well_formed
from bailee.outbound.network import Network
from bailee.records import dataclass
from bailee.words import words

if TYPE_CHECKING:  # what few sessions need, or none before its first request
    from bailee.agent.egress import Egress
    from bailee.agent.mcp_servers import Servers
    from bailee.agent.measuring import Measuring


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for on the command line."""

    folder: Path
    model: str | None = None
    session: str | None = None  # resume this one
    latest: bool = False  # resume the latest of this folder
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    more_folders: Sequence[Path] = ()
    calls: int | None = None
    max_tokens: int | None = None
    context_tokens: int = 200_000
    sandbox: bool = True
    hosts: Sequence[str] = ()  # what commands in the sandbox may reach
    readable: Sequence[Path] = ()  # what they may read beside the workspace
    writable: Sequence[str] = ()  # names with a dot that they may write in the workspace
    variables: Sequence[str] = ()  # the person's variables that they get besides the known ones


@dataclass(slots=True)
class AgentSession:
    """An agent at work in a folder. `environment` holds the variables that count."""

    id: str
    agent: Agent
    workspace: Workspace
    sandbox: sandbox.Sandbox
    transcripts: Transcripts
    environment: Mapping[str, str]
    resumed: bool = False
    base_url: str | None = None
    measuring: Measuring | None = None
    servers: Servers | None = None
    network: Network | None = None
    egress: Egress | None = None

    async def turn(self, prompt: str | list[Block]) -> AsyncIterator[events.Event]:
        """Takes a prompt, as `Agent.turn` does, with the MCP servers' tools; is measured where
        that is wanted.
        """
        try:
            warnings = await self.agent.interruptible(self._tools_of_servers())
        except Interrupted:
            yield events.TurnEnded("interrupted", "", 0)
            return
        for warning in warnings:
            yield events.Warned(warning)
        happening = self.agent.turn(prompt)
        if self.measuring is not None:
            happening = self.measuring.over(happening, self.agent.model.name)
        async for event in happening:
            yield event

    async def _tools_of_servers(self) -> list[str]:
        if self.servers is None or not isinstance(self.agent.tools, Toolbox):
            return []
        tools, told = await self.servers.tools()
        taken = self.agent.tools.add(tools)
        return told + [f"Two tools are called {name}; the first is used." for name in taken]

    async def close(self) -> None:
        """Closes what it holds open."""
        if self.measuring is not None:
            self.measuring.settle()
        if self.servers is not None:
            await self.servers.close()
        if self.egress is not None:
            await self.egress.close()
        model = self.agent.model
        if isinstance(model, MessagesApi):
            await model.close()


def start(
    options: Options,
    environment: Mapping[str, str],
    *,
    now: datetime,
    rules: PermissionRules | None = None,
    asker: Asker | None = None,
    transcripts: Transcripts | None = None,
    model: Model | None = None,
    more_tools: Sequence[Tool] = (),
    hidden: Sequence[Path] = (),
    network: Network | None = None,
    trial: sandbox.SandboxTrial | None = None,
) -> AgentSession:
    """A new session, or a resumed one. `trial`: of the sandbox, begun for the same folders.

    Raises:
        InputError: the folder, the key, a rule or the session to resume is wrong.
    """
    if not options.folder.is_dir():
        raise InputError(f"{options.folder} is not a folder.", code="not_found")
    store = transcripts or InMemory()
    workspace = Workspace(options.folder, tuple(options.more_folders), tuple(options.writable))
    session, records = _which(options, store, str(workspace.root))
    at = None
    if model is None:
        at = endpoint(environment)
        model = MessagesApi(
            at,
            session=session,
            model=options.model or environment.get("ANTHROPIC_MODEL") or None,
            max_tokens=options.max_tokens,
            network=network,
        )
    box = sandbox.find(
        wanted=options.sandbox,
        hosts=options.hosts,
        granted=Granted(tuple(options.readable), tuple(hidden), tuple(options.writable)),
        names=options.variables,
        roots=workspace.roots,
        trial=trial,
    )
    egress = None
    if box.program and box.hosts:
        from bailee.agent.egress import Egress

        egress = Egress(box.hosts, network or Network({}))
    given = rules or PermissionRules()
    given = PermissionRules(
        (*given.allow, *parse_rules(options.allow)),
        given.ask,
        (*given.deny, *parse_rules(options.deny)),
    )
    # Searching has to ask of each file only where a rule speaks of reading.
    told = any(rule.tool in (Read.name, "*") for rule in (*given.deny, *given.ask))
    forbids = given.forbids if told else None
    seen = SeenFiles()
    tools: list[Tool] = [
        Read(workspace, seen),
        Write(workspace, seen),
        Edit(workspace, seen),
        Glob(workspace, environment, forbids),
        Grep(workspace, environment, forbids),
        Bash(workspace, box, environment, egress),
        TodoWrite(),
        *more_tools,
    ]
    agent = Agent(
        model,
        Toolbox(tools),
        asker=asker,
        rules=given,
        transcripts=store,
        session=session,
        records=records,
        system=system_prompt(
            folder=str(workspace.root),
            platform=f"{os.uname().sysname} {os.uname().release}",
            date=now.date().isoformat(),
            is_git=instructions.repository(workspace.root) is not None,
            sandbox=box.sentence(words("en", "terminal")),
            instructions=instructions.read(workspace.root),
        ),
        limits=TurnLimits(options.calls, options.context_tokens),
    )
    if not records:
        agent.keep({"type": "session", "folder": str(workspace.root), "model": model.name})
    return AgentSession(
        session,
        agent,
        workspace,
        box,
        store,
        environment,
        resumed=bool(records),
        base_url=at.base_url if at is not None else None,
        network=network,
        egress=egress,
    )


def resumable(store: Transcripts, folder: str) -> list[ResumableSession]:
    """The sessions one may resume: those of this folder first, the latest first."""
    found, folder = list(store.list()), well_formed(folder)  # as it is kept
    return sorted(found, key=lambda kept: kept.folder != folder)


def _which(options: Options, store: Transcripts, folder: str) -> tuple[str, list[Record]]:
    """The session's id and what is kept of it."""
    if options.session is not None:
        named = [k.session for k in store.list() if k.session.startswith(options.session)]
        if len(named) > 1 and options.session not in named:
            raise InputError(f"{options.session} is the beginning of {len(named)} sessions' ids.")
        wanted = options.session if options.session in named or not named else named[0]
        records = store.load(wanted)
        if not records:
            raise InputError(
                f"no session {options.session} is kept on this machine.",
                code="not_found",
                hint="it may have expired, or transcripts are not kept here",
            )
        return wanted, records
    if options.latest:
        kept = list(store.list())
        here = [k for k in kept if k.folder == well_formed(folder)]
        if not here:
            # A folder that was moved can't be told from another by itself: the person has to say.
            gone = (k for k in kept if k.folder and not os.path.exists(k.folder))  # noqa: PTH110
            moved = next(gone, None)
            raise InputError(
                "no session of this folder is kept on this machine.",
                code="not_found",
                hint="start one without --continue"
                if moved is None
                else f"if this folder was {moved.folder}: --resume {moved.session[:8]}",
            )
        return here[0].session, store.load(here[0].session)
    return str(uuid.uuid4()), []
