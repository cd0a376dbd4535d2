"""MCP servers that a project proposes: each needs a person's word, at each start.

A yes is not kept: what a definition starts can change with the project while its text stays. Who
wants a server always writes it into their own settings.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bailee.agent.assembly import proposed
from bailee.agent.terminal.asking import choose
from bailee.client.machine import Machine
from bailee.client.servers import Server
from bailee.shown import lines as visible


async def permitted(console: Console, machine: Machine) -> list[Server]:
    """Those that the person said yes to."""
    allowed = []
    for server in proposed(machine):
        console.print(
            Text(f"This project wants an MCP server, {visible(server.name)}:", style="bold yellow")
        )
        console.print(Text(f"  {visible(server.line)}"))
        for name, value in {**server.env, **server.headers}.items():
            console.print(Text(f"  {visible(name)}: {visible(value)}", style="dim"))
        what = (
            "It would run as you, outside the sandbox."
            if server.url is None
            else "What the model asks of it would go there."
        )
        console.print(Text(f"  {what}", style="yellow"))
        yes = ("y", "yes", "yes, in this run; settings.json (mcpServers) keeps one for good")
        if await choose([yes, ("n", "no", "no")], default="no") == "yes":
            allowed.append(server)
    return allowed
