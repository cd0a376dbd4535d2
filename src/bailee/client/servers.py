"""What a settings file may say of an MCP server, read and checked. Pure.

    {"command": "npx", "args": ["-y", "some-server"], "env": {"NAME": "value"}}
    {"url": "https://mcp.example/mcp", "headers": {"Authorization": "Bearer ${MCP_TOKEN}"}}

Rules kept here:

* What is not understood is refused whole: half a command is another command.
* `${NAME}` and `${NAME:-else}` stand for variables. In what a project proposes, a variable whose
  name looks like a credential's stands for nothing: it could be sent to anyone.

Rows: S7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final
from urllib.parse import urlsplit

from bailee.json_values import Json, elements, members, text
from bailee.records import dataclass

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_COMMAND: Final = frozenset({"type", "command", "args", "env"})
_ADDRESS: Final = frozenset({"type", "url", "headers"})


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server: a program of this machine, or an address. What may be a secret is not shown."""

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def line(self) -> str:
        """What would be run, or asked, whole, as it is written."""
        return self.url or " ".join([self.command or "", *self.args])

    def expanded(self, variable: Callable[[str], str | None]) -> McpServer:
        """With variables in the place of their names."""

        def put(text: str) -> str:
            return _VARIABLE.sub(lambda m: variable(m[1]) or m[2] or "", text)

        return McpServer(
            self.name,
            None if self.command is None else put(self.command),
            tuple(put(one) for one in self.args),
            {name: put(value) for name, value in self.env.items()},
            None if self.url is None else put(self.url),
            {name: put(value) for name, value in self.headers.items()},
        )


def trouble(name: str, value: object) -> str | None:
    """What is wrong with a definition, as the end of a sentence; None: nothing."""
    if not _NAME.fullmatch(name):
        return "has a name that is not up to 40 letters, digits, - or _."
    if not isinstance(value, Mapping):
        return "must be an object."
    known = _ADDRESS if "url" in value else _COMMAND
    if unknown := sorted(set(value) - known):
        return f"has something unknown in it: {unknown[0][:40]!r}."
    if "url" in value:
        if value.get("type", "http") not in ("http", "streamable-http"):
            return "has a type that is not http."
        if not _is_address(value["url"]):
            return "has a url that is no address."
        if not _are_texts(value.get("headers", {})):
            return "has headers that are not texts by name."
        return None
    if value.get("type", "stdio") != "stdio":
        return "has a type that is neither stdio nor http."
    command, args = value.get("command"), value.get("args", [])
    if not isinstance(command, str) or not command.strip():
        return "has neither a command nor a url."
    if not isinstance(args, list) or not all(isinstance(one, str) for one in args):
        return "has args that are not a list of texts."
    return None if _are_texts(value.get("env", {})) else "has an env that is not texts by name."


def server(name: str, value: object) -> McpServer:
    """A definition in which there is no `trouble`."""
    held = members(value)
    return McpServer(
        name,
        text(held.get("command")) or None,
        tuple(map(text, elements(held.get("args")))),
        _texts(held.get("env")),
        text(held.get("url")) or None,
        _texts(held.get("headers")),
    )


def _texts(value: Json) -> dict[str, str]:
    return {name: text(one) for name, one in members(value).items()}


def _is_address(value: object) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _are_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    )
