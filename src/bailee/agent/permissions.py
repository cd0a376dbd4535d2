"""What may run without asking, what never, and what a person must be asked. Pure.

A rule is a tool's name, or a name with a pattern in parentheses:

    Read                 every call of the tool
    Edit(src/**)         files, as a glob under the workspace (`//etc/*` absolute, `~/…` home);
                         what Read forbids, Grep and Glob leave out
    Bash(make test)      this very command
    Bash(git diff:*)     commands that begin with these words (`Bash(git diff *)` is the same)
    WebFetch(domain:docs.python.org)
    mcp__server__tool    a tool of an MCP server; mcp__server for all of its tools

Rules of this module:

* Deny wins over ask, ask over allow, allow over a tool's own harmlessness.
* A prefix allows a command line only if it allows *each* command in it, and only when the line is
  plain enough to be read with certainty; else only the exact text counts (`bailee.agent.shell`).
  An option that writes a file or runs a program is covered only where the prefix names it.
  For denying it is the other way round: one command that begins so is enough, by whatever path
  and behind whatever runs it (`/bin/rm`, `env rm`).
* What is guarded (git's hooks, settings that grant permissions) needs a person each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal

from bailee.agent import shell
from bailee.agent.ports import Intent
from bailee.errors import InputError
from bailee.records import dataclass

Effect = Literal["allow", "ask", "deny"]
_RULE: Final = re.compile(r"(?P<tool>[A-Za-z_][\w-]*|\*)(?:\((?P<pattern>.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One rule. `pattern` None means every call."""

    tool: str
    pattern: str | None = None

    def __str__(self) -> str:
        """As it is written in settings."""
        return self.tool if self.pattern is None else f"{self.tool}({self.pattern})"


@dataclass(frozen=True, slots=True)
class PermissionVerdict:
    """What the rules say of an intent, and why in a sentence."""

    effect: Effect
    why: str


def parse_rule(text: str) -> PermissionRule:
    """A rule from its text.

    Raises:
        InputError: it is not of the form `Tool` or `Tool(pattern)`.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None or found["pattern"] == "":
        raise InputError(
            f"{text.strip()!r} is not a permission rule.",
            code="configuration",
            hint="write Tool or Tool(pattern), as in Bash(git diff:*) or Edit(src/**)",
        )
    return PermissionRule(found["tool"], found["pattern"])


def parse_rules(texts: Iterable[str]) -> tuple[PermissionRule, ...]:
    """Rules from texts, of which each may hold several, separated by commas or spaces.

    Raises:
        InputError: one is not a rule.
    """
    return tuple(parse_rule(piece) for text in texts for piece in _split(text))


@dataclass(frozen=True, slots=True)
class PermissionRules:
    """The rules of a session."""

    allow: tuple[PermissionRule, ...] = ()
    ask: tuple[PermissionRule, ...] = ()
    deny: tuple[PermissionRule, ...] = ()

    def decide(self, intent: Intent) -> PermissionVerdict:
        """What holds for `intent`."""
        for rule in self.deny:
            if matches(rule, intent, denying=True):
                return PermissionVerdict("deny", f"the rule {rule} denies it.")
        if intent.guarded is not None:
            return PermissionVerdict("ask", intent.guarded)
        for rule in self.ask:
            if matches(rule, intent, denying=True):
                return PermissionVerdict("ask", f"the rule {rule} wants it to be asked.")
        for rule in self.allow:
            if matches(rule, intent):
                return PermissionVerdict("allow", f"the rule {rule} allows it.")
        if intent.harmless:
            return PermissionVerdict("allow", "it only reads the workspace.")
        return PermissionVerdict("ask", "no rule speaks of it.")

    def forbids(self, intent: Intent) -> bool:
        """Whether a rule denies it, or wants it to be asked about."""
        return any(matches(rule, intent, denying=True) for rule in (*self.deny, *self.ask))

    def remembering(self, texts: Iterable[str]) -> PermissionRules:
        """These rules and more that allow."""
        return replace(self, allow=(*self.allow, *(parse_rule(text) for text in texts)))


def matches(rule: PermissionRule, intent: Intent, *, denying: bool = False) -> bool:
    """Whether `rule` speaks of `intent`."""
    if rule.tool != intent.tool and not (
        rule.pattern is None and (rule.tool == "*" or intent.tool.startswith(f"{rule.tool}__"))
    ):
        return False
    if rule.pattern is None:
        return True
    if rule.tool == "Bash":
        return _matches_command(rule.pattern, intent.subject, denying=denying)
    if rule.pattern.startswith("domain:"):
        return _matches_domain(rule.pattern.removeprefix("domain:"), intent.subject)
    glob = _glob(rule.pattern)
    return any(glob.fullmatch(name) for name in _names(rule.pattern, intent, denying=denying))


def _names(pattern: str, intent: Intent, *, denying: bool) -> Iterable[str]:
    """The names of a file that a pattern speaks of. A pattern under the workspace allows nothing
    outside it.
    """
    if denying:
        return (intent.subject, intent.spelled, *intent.names)
    outside = intent.subject.startswith("/")
    if pattern.startswith(("/", "~/")):
        return (*intent.names, *((intent.subject,) if outside else ()))
    return () if outside else (intent.subject,)


def rule_to_remember(intent: Intent) -> str | None:
    """The rule that "always" would mean for `intent`; None where "always" is not offered."""
    if intent.guarded is not None:
        return None
    if intent.tool == "Bash":
        prefix = shell.prefix_to_offer(intent.subject)
        # A name with a space in it, or none to see, can't be written in a rule.
        if prefix is None or not _matches_command(f"{prefix}:*", intent.subject, denying=False):
            return None
        return f"Bash({prefix}:*)"
    if intent.tool in ("Edit", "Write"):
        outside = intent.subject.startswith(("/", "~"))
        return None if outside else intent.tool
    if intent.tool == "WebFetch":
        return f"WebFetch(domain:{_host(intent.subject)})"
    return intent.tool if intent.tool.startswith("mcp__") else None


def _matches_command(pattern: str, command: str, *, denying: bool) -> bool:
    prefix = pattern[:-2] if pattern.endswith((":*", " *")) else None
    if command.strip() == pattern.strip():
        return True
    if prefix is None:
        return denying and shell.may_run(command, tuple(pattern.split()), whole=True)
    words = tuple(prefix.split())
    if denying:
        return shell.may_run(command, words)
    reading = shell.read(command)
    return reading.plain and all(
        one[: len(words)] == words and not shell.reaches_further(one, len(words))
        for one in reading.commands
    )


def _matches_domain(domain: str, address: str) -> bool:
    host = _host(address)
    return host == domain or (
        domain.startswith("*.") and (host == domain[2:] or host.endswith(domain[1:]))
    )


def _host(address: str) -> str:
    rest = address.partition("://")[2]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    return re.sub(r":\d*$", "", authority).lower()


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as an expression: `**` crosses folders, `*` and `?` don't. `//x` is the path `/x`."""
    pattern = pattern[1:] if pattern.startswith("//") else pattern.removeprefix("./")
    made, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            made, at = made + r"(?:[^/]+/)*", at + 3
        elif pattern.startswith("**", at):
            made, at = made + ".*", at + 2
        elif pattern[at] in "*?":
            made, at = made + ("[^/]*" if pattern[at] == "*" else "[^/]"), at + 1
        else:
            made, at = made + re.escape(pattern[at]), at + 1
    return re.compile(made, re.DOTALL)


def _split(text: str) -> list[str]:
    """Pieces at commas and spaces that stand outside parentheses."""
    pieces: list[str] = []
    depth, piece = 0, ""
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth <= 0 and char in ", \n\t":
            pieces, piece = [*pieces, piece], ""
        else:
            piece += char
    return [p for p in (*pieces, piece) if p]
