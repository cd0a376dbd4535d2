"""Settings in scopes, and what holds when they disagree. Pure.

Scopes, nearest first: managed, command line, environment, project local, project, user.

Rules kept here:

* Where scopes disagree about privacy or permission, the more private value wins, whatever its
  scope. A switch that is set anywhere is set; `""` elsewhere does not undo it. A value that is not
  empty counts, `0` too.
* For everything else the nearest scope wins.
* A project's files (checked in or not: they come with the folder) can only make things more
  private, in that project: for how long other projects' transcripts are kept is not theirs to say.
  They can't turn a flow on, allow a command, or say where the model's traffic goes.
* A source that is not wholly understood counts as a wish for privacy: every switch that turns a
  flow off is taken as set until the source is mended.
* Another program's settings file is read for switches only; what else it holds is its own.
* Every value keeps the scope and the place that decided. Messages name places and keys, never
  values.

Rows: S6.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeGuard

from bailee.client.servers import trouble
from bailee.client.setting_keys import (
    FLOWS,
    KEYS,
    LIKE_FLOWS,
    LIKE_SANDBOX,
    LIKE_SERVER,
    OF_SANDBOX,
    OPEN_TO_PROJECTS,
    RULES,
    SettingKey,
)
from bailee.records import dataclass

if TYPE_CHECKING:
    from bailee.client.agent_bounds import AgentBound
    from bailee.client.told_statements import ToldStatements

SCOPES: Final = (
    "managed",
    "command line",
    "environment",
    "project local",
    "project",
    "user",
)
OF_A_PROJECT: Final = frozenset({"project local", "project"})


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One place that says something. `values`: its JSON object, or None with `trouble` when it
    can't be read. `borrowed`: another program's file. `proposing`: a project's list of MCP servers,
    of which each needs a person's word.
    """

    scope: str
    place: str
    values: Mapping[str, object] | None = field(repr=False)
    trouble: str | None = None
    borrowed: bool = False
    proposing: bool = False


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """What is wrong with a source, and what to do. `key` is empty when it is the whole."""

    place: str
    key: str
    message: str
    hint: str

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.key}: {self.message}"
            if self.key
            else (f"{self.place}: {self.message}")
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value with the scope and place that decided. `assumed`: nobody wrote it; it is the
    private choice for a source that is not understood.
    """

    value: Any = field(repr=False)
    scope: str
    place: str
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What holds on this machine, for this folder.

    `switches`: the policy's switches that are set. `env`: other variables that hold. `values`: the
    other keys, only where somebody set them. `rules`: allow, ask and deny rules with their source.
    `problems` made the private choice necessary; `ignored` was understood and is not allowed there.
    `servers`: MCP servers by name, as they were written; `proposed`: what a project would like.
    `bounds`: what a policy document leaves of web pages and MCP servers; `told`: what it states of
    other agents, where a server said it.
    `own_days`: the `cleanupPeriodDays` that holds for what is no project's; `managed_days`: that of
    who manages the machine. `off`: the flows that somebody turned off by name, by flow.
    """

    switches: Mapping[str, Chosen]
    env: Mapping[str, Chosen]
    values: Mapping[str, Chosen]
    rules: Mapping[str, tuple[Chosen, ...]]
    problems: tuple[SettingProblem, ...]
    ignored: tuple[SettingProblem, ...]
    servers: Mapping[str, Chosen] = field(default_factory=dict)
    proposed: Mapping[str, Chosen] = field(default_factory=dict)
    own_days: Chosen | None = None
    managed_days: Chosen | None = None
    off: Mapping[str, Chosen] = field(default_factory=dict)
    bounds: tuple[AgentBound, ...] = ()
    told: ToldStatements | None = None

    @property
    def switch_values(self) -> dict[str, str]:
        """The switches as the policy takes them."""
        return {name: chosen.value for name, chosen in self.switches.items()}

    def variable(self, name: str) -> str | None:
        """The value of a variable that holds, switch or not."""
        chosen = self.env.get(name) or self.switches.get(name)
        return None if chosen is None else chosen.value

    def flag(self, name: str) -> bool:
        """A yes or no; its private value when nobody set it."""
        chosen = self.values.get(name)
        return bool(KEYS[name].private if chosen is None else chosen.value)

    @property
    def keep_days(self) -> Chosen | None:
        """Days for which new local transcripts are kept; None: the policy's default."""
        return self.values.get("cleanupPeriodDays")


def parse(scope: str, place: str, content: bytes, *, borrowed: bool = False) -> SettingSource:
    """A source from the bytes of a settings file. Never raises: what is wrong is its `trouble`."""
    try:
        value = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_constant
        )
    except UnicodeDecodeError:
        return SettingSource(scope, place, None, "is not UTF-8", borrowed)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return SettingSource(scope, place, None, f"is not JSON ({where})", borrowed)
    except (_Refused, RecursionError, ValueError) as error:
        why = str(error) if isinstance(error, _Refused) else "is not JSON"
        return SettingSource(scope, place, None, why, borrowed)
    if not isinstance(value, dict):
        return SettingSource(scope, place, None, "is not a JSON object", borrowed)
    return SettingSource(scope, place, value, None, borrowed)


def from_environment(environment: Mapping[str, str]) -> SettingSource:
    """The process's environment as a source."""
    return SettingSource("environment", "environment", {"env": dict(environment)})


def merge(
    sources: Iterable[SettingSource],
    *,
    switches: frozenset[str],
    private: frozenset[str],
    most_days: int,
) -> ClientSettings:
    """What holds. `switches`: the policy's; `private`: those of them that turn a flow off;
    `most_days`: the longest that transcripts may be kept locally.
    """
    reading = _Reading(switches, most_days)
    ordered = sorted(sources, key=lambda source: SCOPES.index(source.scope))
    for source in ordered:
        reading.take(source)
    reading.finish()
    if reading.problems:
        place = reading.problems[0].place
        scope = next(s.scope for s in ordered if s.place == place)
        for name in private:
            reading.switches.setdefault(name, Chosen("1", scope, place, assumed=True))
    return ClientSettings(
        reading.switches,
        reading.env,
        reading.values,
        {kind: tuple(found) for kind, found in reading.rules.items()},
        tuple(reading.problems),
        tuple(reading.ignored),
        reading.servers,
        reading.proposed,
        reading.own_days,
        reading.managed_days,
        reading.off,
        tuple(reading.bounds),
    )


class _Reading:
    """Takes sources, nearest first."""

    def __init__(self, switches: frozenset[str], most_days: int) -> None:
        self._known = switches
        self._most_days = most_days
        self.switches: dict[str, Chosen] = {}
        self.env: dict[str, Chosen] = {}
        self.values: dict[str, Chosen] = {}
        self.rules: dict[str, list[Chosen]] = {kind: [] for kind in RULES}
        self._lists: dict[str, list[tuple[SettingSource, tuple[str, ...]]]] = {}
        self.servers: dict[str, Chosen] = {}
        self.proposed: dict[str, Chosen] = {}
        self.own_days: Chosen | None = None
        self.managed_days: Chosen | None = None
        self.off: dict[str, Chosen] = {}
        self.bounds: list[AgentBound] = []
        self.problems: list[SettingProblem] = []
        self.ignored: list[SettingProblem] = []

    def take(self, source: SettingSource) -> None:
        """Read one source."""
        if source.proposing:
            self._propose(source)
            return
        if source.values is None:
            why = source.trouble or "can't be read"
            self._problem(source, "", f"{why}.", "mend it; until then nothing is sent")
            return
        for name, value in source.values.items():
            if source.borrowed and name != "env" and name not in self._known:
                continue
            key = KEYS.get(name)
            if name in self._known:
                self._switch(source, name, value)
            elif key is None:
                self._problem(source, name, "there is no such setting.", _near(name, KEYS))
            elif key.kind == "env":
                self._env(source, value)
            elif key.kind == "days":
                self._days(source, name, value)
            elif key.kind == "flag":
                self._flag(source, key, value)
            elif key.kind == "sandbox":
                self._sandbox(source, key, value)
            elif key.kind == "permissions":
                self._permissions(source, value)
            elif key.kind == "servers":
                self._servers(source, name, value)
            elif key.kind == "flows":
                self._flows(source, value)
            elif key.kind == "bounds":
                self._bounds(source, name, value)
            else:
                self._text(source, name, value)

    def _env(self, source: SettingSource, value: object) -> None:
        if not isinstance(value, Mapping):
            self._problem(source, "env", "must be an object.", 'like {"DISABLE_TELEMETRY": "1"}')
            return
        for name, text in value.items():
            if name in self._known:
                chosen = Chosen(text, source.scope, source.place)
                if not isinstance(text, str):
                    self._problem(source, f"env.{name}", "must be a text.", f'write "{name}": "1"')
                    chosen = replace(chosen, value="1", assumed=True)
                if text != "":
                    self.switches.setdefault(name, chosen)
            elif source.borrowed:
                continue
            elif not isinstance(text, str):
                self._problem(source, f"env.{name}", "must be a text.", "put it in quotes")
            elif source.scope != "environment" and (near := _mistyped(name, self._known)):
                self._problem(
                    source, f"env.{name}", "is no switch, but almost one.", f"did you mean {near}?"
                )
            elif source.scope in OF_A_PROJECT and name not in OPEN_TO_PROJECTS:
                self._ignore(source, f"env.{name}")
            elif text:
                self.env.setdefault(name, Chosen(text, source.scope, source.place))

    def _switch(self, source: SettingSource, name: str, value: object) -> None:
        """A switch of the policy's that is a key of its own: true is set, false is not."""
        chosen = Chosen("1", source.scope, source.place, assumed=not isinstance(value, bool))
        if chosen.assumed:
            self._problem(source, name, "must be true or false.", "without quotes")
        if value is not False:
            self.switches.setdefault(name, chosen)

    def _days(self, source: SettingSource, name: str, value: object) -> None:
        if not _is_whole(value) or not 0 <= value <= self._most_days:
            message = f"must be a whole number from 0 to {self._most_days}."
            self._problem(source, name, message, "0 keeps no transcripts")
            chosen = Chosen(0, source.scope, source.place, assumed=True)
        else:
            chosen = Chosen(value, source.scope, source.place)
        self.values[name] = _fewer(self.values.get(name), chosen)
        if source.scope not in OF_A_PROJECT:
            self.own_days = _fewer(self.own_days, chosen)
        if source.scope == "managed":
            self.managed_days = _fewer(self.managed_days, chosen)

    def _flag(self, source: SettingSource, key: SettingKey, value: object) -> None:
        if not isinstance(value, bool):
            self._problem(source, key.name, "must be true or false.", "without quotes")
            value = key.private
        elif value is not key.private and source.scope in OF_A_PROJECT:
            self._ignore(source, key.name)
            return
        held = self.values.get(key.name)
        if held is None or (value is key.private and held.value is not key.private):
            self.values[key.name] = Chosen(value, source.scope, source.place)

    def _sandbox(self, source: SettingSource, key: SettingKey, value: object) -> None:
        """True, false, or an object: `enabled` is the flag; of two lists of what commands may have,
        what is in both holds.
        """
        if not isinstance(value, Mapping):
            self._flag(source, key, value)
            return
        if "enabled" in value:
            self._flag(source, key, value["enabled"])
        for name, wanted in value.items():
            if name in OF_SANDBOX:
                form, otherwise = OF_SANDBOX[name]
                listed = _texts(wanted, form)
                if listed is None:
                    self._problem(source, f"sandbox.{name}", otherwise, LIKE_SANDBOX)
                self._lists.setdefault(f"sandbox.{name}", []).append((source, listed or ()))
            elif name != "enabled":
                self._problem(source, f"sandbox.{name}", "there is no such setting.", LIKE_SANDBOX)

    def finish(self) -> None:
        """What can be said only when every source has been read."""
        for name, lists in self._lists.items():
            own = [one for one in lists if one[0].scope not in OF_A_PROJECT]
            theirs = [one for one in lists if one[0].scope in OF_A_PROJECT]
            if not own:  # a project can take away and add nothing
                for source, wanted in theirs:
                    if wanted:
                        self._ignore(source, name)
                continue
            held: Chosen | None = None
            for source, wanted in (*own, *theirs):
                both = wanted if held is None else tuple(x for x in held.value if x in wanted)
                if held is None or both != held.value:
                    held = Chosen(both, source.scope, source.place)
            assert held is not None
            self.values[name] = held

    def _permissions(self, source: SettingSource, value: object) -> None:
        if not isinstance(value, Mapping):
            message = "must be an object with allow, ask or deny."
            self._problem(source, "permissions", message, 'like {"deny": ["Bash(rm:*)"]}')
            return
        for kind, rules in value.items():
            name = f"permissions.{kind}"
            if kind not in RULES:
                self._problem(source, name, "there is no such list.", _near(kind, RULES))
            elif not isinstance(rules, list) or not all(isinstance(r, str) and r for r in rules):
                self._problem(source, name, "must be a list of texts.", 'like ["Bash(git:*)"]')
            elif kind == "allow" and source.scope in OF_A_PROJECT:
                if rules:
                    self._ignore(source, name)
            else:
                self.rules[kind] += [Chosen(r, source.scope, source.place) for r in rules]

    def _flows(self, source: SettingSource, value: object) -> None:
        """Each flow's name with false: it is off, whoever says otherwise."""
        if not isinstance(value, Mapping):
            self._problem(source, "flows", "must be an object.", LIKE_FLOWS)
            return
        for flow, on in value.items():
            if flow not in FLOWS:
                self._problem(source, f"flows.{flow}", "there is no such flow.", _near(flow, FLOWS))
            elif not isinstance(on, bool):
                self._problem(source, f"flows.{flow}", "must be true or false.", LIKE_FLOWS)
            elif not on:
                self.off.setdefault(flow, Chosen(False, source.scope, source.place))

    def _bounds(self, source: SettingSource, name: str, value: object) -> None:
        """Of every scope: each can only leave less."""
        from bailee.client.agent_bounds import LIKE_BOUNDS, bounds_of  # here: few machines have any

        found, wrong = bounds_of(source.scope, source.place, value)
        if wrong is not None:
            key = f"{name}.{wrong}" if wrong else name
            self._problem(source, key, "is not understood, and leaves nothing.", LIKE_BOUNDS)
        self.bounds += found

    def _servers(self, source: SettingSource, name: str, value: object) -> None:
        if not isinstance(value, Mapping):
            self._problem(source, name, "must be an object of objects.", "one for each server")
            return
        if source.scope in OF_A_PROJECT:
            if value:
                self._ignore(source, name)
            return
        for server, definition in value.items():
            if (why := trouble(server, definition)) is not None:
                self._problem(source, f"{name}.{server}", why, LIKE_SERVER)
            else:
                found = Chosen(definition, source.scope, source.place)
                self.servers.setdefault(server, found)

    def _propose(self, source: SettingSource) -> None:
        """A list of servers that came with a project: what it can't mean is passed over."""
        found = None if source.values is None else source.values.get("mcpServers")
        for server, definition in found.items() if isinstance(found, Mapping) else ():
            if trouble(server, definition) is None:
                self.proposed[server] = Chosen(definition, source.scope, source.place)

    def _text(self, source: SettingSource, name: str, value: object) -> None:
        if not isinstance(value, str) or not value:
            self._problem(source, name, "must be a text.", KEYS[name].meaning)
        elif name == "feedbackRepository" and source.scope in OF_A_PROJECT:
            self._ignore(source, name)
        else:
            self.values.setdefault(name, Chosen(value, source.scope, source.place))

    def _problem(self, source: SettingSource, key: str, message: str, hint: str) -> None:
        self.problems.append(SettingProblem(source.place, _one_line(key), message, hint))

    def _ignore(self, source: SettingSource, key: str) -> None:
        self.ignored.append(
            SettingProblem(
                source.place,
                _one_line(key),
                "is not for a project to decide, and is ignored.",
                "a project can only make things more private; put it into your own settings",
            )
        )


def _fewer(held: Chosen | None, chosen: Chosen) -> Chosen:
    """Of two that say the same, the one that was written, and then the nearer, decides."""
    if held is None or (chosen.value, chosen.assumed) < (held.value, held.assumed):
        return chosen
    return held


class _Refused(ValueError):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for name, inner in pairs:
        if name in value:
            raise _Refused(f'has the name "{_one_line(name)}" twice in one object')
        value[name] = inner
    return value


def _constant(_name: str) -> NoReturn:
    raise _Refused("holds a number that is none")


def _texts(value: object, form: re.Pattern[str]) -> tuple[str, ...] | None:
    """A list of texts of that form; None where it is none."""
    if not isinstance(value, list):
        return None
    found = tuple(one for one in value if isinstance(one, str) and form.fullmatch(one))
    return found if len(found) == len(value) else None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    import difflib

    found = difflib.get_close_matches(name[:80], names, n=1)
    return f"did you mean {found[0]}?" if found else f"one of: {', '.join(names)}"


def _mistyped(name: str, switches: Iterable[str]) -> str | None:
    """The switch that a variable's name almost is."""
    known: Sequence[str] = sorted(switches)
    import difflib

    found = difflib.get_close_matches(name.upper()[:80], known, n=1, cutoff=0.9)
    return found[0] if found else None


def _one_line(key: str) -> str:
    text = key if key.isprintable() else key.encode("unicode_escape").decode()
    return text if len(text) <= 80 else f"{text[:78]}…"
