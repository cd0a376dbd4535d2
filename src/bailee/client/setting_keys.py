"""The keys of `settings.json`: what each takes, and which value of it is the private one. Pure.

Rows: S6.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from bailee.records import dataclass

Kind = Literal[
    "env", "days", "text", "flag", "sandbox", "permissions", "servers", "flows", "bounds"
]


@dataclass(frozen=True, slots=True)
class SettingKey:
    """One key of `settings.json`. `private`: for a flag, the value that wins and that holds when
    nobody says anything.
    """

    name: str
    kind: Kind
    meaning: str
    private: bool | None = None


KEYS: Final[dict[str, SettingKey]] = {
    key.name: key
    for key in (
        SettingKey("env", "env", "Environment variables, the switches among them."),
        SettingKey(
            "cleanupPeriodDays",
            "days",
            "For how many days transcripts are kept on this machine; the smallest wins; 0: none.",
        ),
        SettingKey("model", "text", "The model to ask for."),
        SettingKey(
            "permissions", "permissions", "What may be done without asking, and what never."
        ),
        SettingKey("webFetch", "flag", "Whether the agent may fetch web pages.", private=False),
        SettingKey(
            "sandbox",
            "sandbox",
            "Whether commands run in a sandbox, and what they have there.",
            True,
        ),
        SettingKey("mcpServers", "servers", "MCP servers the agent may start, by name."),
        SettingKey("bounds", "bounds", "What a policy document leaves of pages and servers."),
        SettingKey("flows", "flows", "Flows that are off, by name: false. True undoes nothing."),
        SettingKey(
            "feedbackRepository", "text", "Public repository (owner/name) for GitHub issues."
        ),
    )
}
FLOWS: Final = ("metrics", "errors", "bug_report", "survey")
"""The flows of the policy that bailee's own programs have."""
CHOICES: Final = "flow-choices.json"
"""The note, in the client's folder, of what a person turned off by name."""
TOLD_BOUNDS: Final = "told-bounds"
"""The folder, in the client's own, of what servers said last of pages and MCP servers."""
LIKE_FLOWS: Final = 'like {"metrics": false}'
RULES: Final = ("allow", "ask", "deny")
HOST: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
OF_SANDBOX: Final = {
    "network": (HOST, "must be a list of hosts."),
    "read": (re.compile(r"(?:/|~/)[^\0]*"), "must be a list of paths that begin with / or ~/."),
    "write": (re.compile(r"\.?[^/\0.][^/\0]*"), "must be a list of names of files or folders."),
    "environment": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "must be a list of variables' names."),
}
"""The lists of `sandbox`: the form of what stands in each, and what to say where it has another."""
LIKE_SANDBOX: Final = 'like {"network": ["pypi.org"], "read": ["~/data"], "write": [".foo"]}'
LIKE_SERVER: Final = 'like {"command": "server", "args": []} or {"url": "https://host/mcp"}'
# Besides the switches, what a project's `env` block may set.
OPEN_TO_PROJECTS: Final = frozenset({"ANTHROPIC_MODEL"})
