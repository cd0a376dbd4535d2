"""MCP servers that a project proposes: each needs a person's word, at each start.

A yes is not kept: what a definition starts can change with the project while its text stays. Who
wants a server always writes it into their own settings.
"""

from __future__ import annotations

from bailee.agent.assembly import proposed
from bailee.agent.terminal.screen import Choice, Screen
from bailee.client.machine import ClientMachine
from bailee.client.servers import McpServer


async def permitted(screen: Screen, machine: ClientMachine) -> list[McpServer]:
    """Those that the person said yes to."""
    words = screen.words
    choices = [Choice("y", "yes", words("server.yes")), Choice("n", "no", words("server.no"))]
    allowed = []
    for server in proposed(machine):
        screen.say(words("server.question", name=server.name), "bold yellow")
        screen.say(server.line, indent=2)
        for name, value in {**server.env, **server.headers}.items():
            screen.say(f"{name}: {value}", "dim", indent=2)
        what = words("server.runs" if server.url is None else "server.sends")
        screen.say(what, "yellow", indent=2)
        if await screen.choose(choices, default="no") == "yes":
            allowed.append(server)
    return allowed
