"""A server, served once in the process that others are forked from: what each would do anew.

Its statements are compiled then, its routes' patterns, and its sweep's questions; it answers one
exchange, whose model is a scripted one. When it is over, nothing of it is left: no thread, nothing
open, and the process's limits are what they were. It runs on loops of Python's own: a first one of
uvloop's leaves a pipe open.
"""

from __future__ import annotations

import asyncio
import json
import resource
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bailee import config
from bailee.app import cloud_running
from bailee.app.serve import Server
from bailee.app.wiring import ServerWiring
from bailee.home import Home, HomeLock
from bailee.node import verifying
from bailee.node.node import Node
from bailee.testing.upstream import ScriptedUpstream, Text

_ANYWHERE = "127.0.0.1:0"
_BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def serve_once(folder: Path) -> None:
    """Serve a new home in `folder`, and one exchange, to its end."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    uvloop = cloud_running.uvloop
    cloud_running.uvloop = cast("Any", SimpleNamespace(new_event_loop=asyncio.new_event_loop))
    home = Home(folder)
    home.make()
    with ScriptedUpstream(after=Text("Yes.")) as model:
        said = {
            "upstream.url": model.url,
            "gateway.listen": _ANYWHERE,
            "console.listen": _ANYWHERE,
            "ingest.listen": _ANYWHERE,
        }
        wiring = ServerWiring(home, settings=config.load(home.settings_file, {}, said))
        with HomeLock(home), Node.over(wiring) as node:
            server = Server(
                wiring, node, plan="pro", always_key=True, on_exchange=lambda _: None
            )  # fmt: skip
            asyncio.run(_serve(server, node))
    cloud_running.uvloop = uvloop
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def _serve(server: Server, node: Node) -> None:
    async with server as running:
        await server.swept.wait()
        await asyncio.to_thread(_ask, running.gateway, str(running.key))
        await asyncio.to_thread(node.vault.flush)
        await asyncio.to_thread(verifying.known, node)


def _ask(gateway: str, key: str) -> None:
    headers = {"x-api-key": key, "content-type": "application/json"}
    request = urllib.request.Request(gateway + "/v1/messages", json.dumps(_BODY).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        assert 200 == answer.status
