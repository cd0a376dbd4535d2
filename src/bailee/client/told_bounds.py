"""What a server's document leaves agents on this machine of web pages and MCP servers, and what it
states of them, where nobody puts a file, as it said last. `bounds_question` asks for it.

Rules kept here:

* Its bounds can only leave less: what the machine's settings leave holds beside them. By its
  statements other agents are started, and by no other document's.
* What the server said last holds until it says something else. What is kept and is not understood
  leaves nothing.
* What is kept is of one server and one key, or one sign-in, whose tokens change: two organisations'
  documents are not mixed. No key stands in it, nor in its name. No more than `MOST` are kept.

Rows: P1, S6.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.client.files import content_of
from bailee.client.flows import bailee_address, shown
from bailee.client.local_key import make_private, write_private
from bailee.client.setting_keys import TOLD_BOUNDS
from bailee.client.settings import ClientSettings
from bailee.client.signed_in import SIGN_IN_FILE, in_force
from bailee.json_values import members
from bailee.records import dataclass

if TYPE_CHECKING:
    from bailee.client.agent_bounds import AgentBound

MOST: Final = 50
SAID: Final = ("bounds", "statements", "document")
"""What is kept of a server's answer."""


@dataclass(frozen=True, slots=True)
class BoundsServer:
    """Whom to ask: `address` without a slash at the end, the person's `key`, and the `name` of the
    file in which is kept what was said.
    """

    address: str
    key: str = field(repr=False)
    name: str


def server_of(settings: ClientSettings, folder: Path) -> BoundsServer | None:
    """The server that the person has a key of, or is signed in at, and that alone: a key goes where
    it goes otherwise. None: there is neither. `folder`: the client's own.
    """
    key, address = settings.variable("BAILEE_API_KEY") or "", bailee_address(settings)
    if not key.startswith("bl_"):
        named = (settings.variable(one) for one in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"))
        key = next((one for one in named if one is not None and one.startswith("bl_")), "")
        address = (settings.variable("ANTHROPIC_BASE_URL") or address).rstrip("/")
    whose = "" if settings.variable(SIGN_IN_FILE) else key
    if not key:
        held = in_force(settings.variable, folder)
        if held is None:
            return None
        key, address, whose = held.access, held.gateway.rstrip("/"), ""
    return BoundsServer(address, key, hashlib.sha256(f"{address}\0{whose}".encode()).hexdigest())


def with_told(settings: ClientSettings, folder: Path) -> ClientSettings:
    """The settings, and beside them what the server said last. `folder`: the client's own."""
    server = server_of(settings, folder)
    kept = None if server is None else kept_of(folder, server)
    return settings if server is None or kept is None else under(settings, server, kept)


def under(
    settings: ClientSettings, server: BoundsServer, said: Mapping[str, object]
) -> ClientSettings:
    """The settings, and beside them what this server `said`."""
    from bailee.client.told_statements import told_statements  # here: as below

    bounds = (*settings.bounds, *bounds_of_server(server, said.get("bounds")))
    return replace(settings, bounds=bounds, told=told_statements(shown(server.address), said))


def kept_of(folder: Path, server: BoundsServer) -> dict[str, object] | None:
    """What is kept, with its ETag; None: nothing is. Of what can't be read, nothing is known."""
    try:
        held = json.loads(content_of(folder / TOLD_BOUNDS / server.name) or b"")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return dict(members(held))


def bounds_of_server(server: BoundsServer, said: object) -> list[AgentBound]:
    """The bounds as they hold."""
    from bailee.client.agent_bounds import bounds_of  # here: few machines have any

    return bounds_of("managed", shown(server.address), said)[0]


def keep(data: Path, server: BoundsServer, etag: str, said: Mapping[str, object]) -> None:
    """Keep what a server says, and the newest of others. `data`: the client's folder.

    Raises:
        OSError: it can't be written.
    """
    folder = data / TOLD_BOUNDS
    make_private(folder)
    kept = {name: said[name] for name in SAID if name in said}
    write_private(folder / server.name, json.dumps({"etag": etag, **kept}).encode())
    newest = sorted(folder.iterdir(), key=lambda one: one.lstat().st_mtime, reverse=True)
    for one in newest[MOST:]:
        one.unlink(missing_ok=True)
