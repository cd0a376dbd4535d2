"""From TOML to a `Document`; what is malformed is refused with file, line and reason.

What is checked here is each part by itself and the names that parts use of one another. Whether
the clauses together decide every combination is `proof`'s.

Rules kept here:

* Nothing is guessed: an unknown key, fact, value, heading or switch is refused with its line.
* Clauses keep the order in which the document lists them.
* The document's hash is SHA-256 over its exact bytes, comments included.

The format is described in docs/reference/policy-document.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

from bailee.errors import InputError
from bailee.policy import period as periods
from bailee.policy.actions import (
    ACTIONS,
    FLAGS,
    NAMED_FACTS,
    REQUIRED_VALUES,
    SWITCH_STATES,
    Action,
)
from bailee.policy.document import (
    Clause,
    Condition,
    Demand,
    Document,
    Feedback,
    Flow,
    Heading,
    Invariant,
    LocalRetention,
    ModelProvider,
    Plan,
    SurveyQuestion,
    Text,
)
from bailee.policy.reading import Table, one_of, parse
from bailee.policy.space import Space, Value

FORMAT: Final = "bailee-policy/1"
LARGEST_SPACE: Final = 1 << 22
_ID: Final = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*", re.ASCII)
_ROW: Final = re.compile(r"[A-Z][1-9][0-9]?", re.ASCII)
_SWITCH: Final = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)


def read(content: bytes, file: str | PurePath) -> Document:
    """Read a document; `file` is its name in messages.

    Raises:
        Unsound: anything malformed, with file, line and reason.
    """
    root = parse(content, file)
    if root.text("format") != FORMAT:
        root.refuse("format", "This is a format that this version does not know.", f"use {FORMAT}")
    version, effective = root.text("version"), root.day("effective")
    dates = root.table("dates")
    choice_from, decide_by = dates.day("choice_from"), dates.day("decide_by")
    if decide_by < choice_from:
        dates.refuse("decide_by", "decide_by is before choice_from: nobody could choose in time.")
    if version != effective.isoformat():
        root.refuse("version", "version must be the effective date.", f'"{effective.isoformat()}"')
    dates.finish()
    on_recorder_failure = root.one_of("on_recorder_failure", ("refuse", "serve_unrecorded"))
    on_limits_unknown = root.one_of("on_limits_unknown", ("refuse", "serve"))
    title = _text(root.table("title"))

    words = _Words(root)
    spaces = {action.name: words.space(root, action) for action in ACTIONS.values()}
    headings = tuple(_heading(table) for table in root.tables("heading"))
    ids: set[str] = set()
    for table, heading in zip(root.tables("heading"), headings, strict=True):
        _unique(table, heading.id, ids)
    heading_ids = [heading.id for heading in headings]
    ids = set()
    clauses = {
        action.name: tuple(
            _clause(table, action, spaces[action.name], heading_ids, ids)
            for table in root.tables(action.name)
        )
        for action in ACTIONS.values()
    }
    statements = tuple(
        _clause(table, None, None, heading_ids, ids) for table in root.tables("statement")
    )
    invariants = tuple(_invariant(table, spaces, ids) for table in root.tables("invariant"))
    document = Document(
        file=str(file),
        sha256=hashlib.sha256(content).hexdigest(),
        version=version,
        effective=effective,
        on_recorder_failure=on_recorder_failure,
        on_limits_unknown=on_limits_unknown,
        title=title,
        choice_from=choice_from,
        decide_by=decide_by,
        plans=words.plans,
        providers=words.providers,
        flows=words.flows,
        switches=words.switches,
        labels=words.labels,
        local_transcripts=_local_transcripts(root.table("local_transcripts")),
        survey=_survey(root.table("survey")),
        feedback=_feedback(root.table("feedback")),
        headings=headings,
        clauses=clauses,
        statements=statements,
        invariants=invariants,
        spaces=spaces,
    )
    root.finish()
    return document


class _Words:
    """The names a document defines: what facts can be, and how each is called. Made for one reading
    of one document; the clauses are read against it.
    """

    def __init__(self, root: Table) -> None:
        self.labels: dict[str, dict[Value, Text]] = {}
        self.segments = [str(name) for name in self._labelled(root, "segments", "segment")]
        self.plans: dict[str, Plan] = {}
        for name, table in self._members(root, "plans"):
            segment = table.one_of("segment", self.segments)
            self.plans[name] = Plan(name, segment, _text(table))
        self.labels["plan"] = {plan.name: plan.label for plan in self.plans.values()}
        for fact in (
            "channel",
            "data_class",
            "training_choice",
            "phase",
            "arrival",
            "route",
            "credential",
        ):
            self._labelled(root, NAMED_FACTS[fact], fact)
        self.switches: dict[str, Text] = {}
        for name, table in root.table("switches").named():
            if _SWITCH.fullmatch(name) is None:
                table.refuse(None, f"{name!r} can't be an environment variable of ours.")
            self.switches[name] = _text(table)
        root.has("switches")
        self.providers: dict[str, ModelProvider] = {}
        for name, table in self._members(root, "providers"):
            by = table.one_of("selected_by", self.switches) if table.has("selected_by") else None
            self.providers[name] = ModelProvider(name, _text(table), by)
        self.labels["provider"] = {one.name: one.label for one in self.providers.values()}
        self.flows = {name: self._flow(name, table) for name, table in self._members(root, "flows")}
        self.labels["flow"] = {one.name: one.label for one in self.flows.values()}
        flags = root.table("flags")
        for flag in FLAGS:
            table = flags.table(flag)
            self.labels[flag] = {
                True: _text(table.table("true")),
                False: _text(table.table("false")),
            }
            table.finish()
        flags.finish()

    def space(self, root: Table, action: Action) -> Space:
        domains: dict[str, Sequence[Value]] = {}
        for fact in action.facts:
            values = tuple(self.labels[fact])
            domains[fact] = (False, True) if fact in FLAGS else values
        if action.env:
            domains.update(dict.fromkeys(self.switches, SWITCH_STATES))
        derived: dict[str, tuple[str, Mapping[str, Sequence[Value]]]] = {}
        if "plan" in domains:
            members: dict[str, Sequence[Value]] = {
                segment: tuple(one.name for one in self.plans.values() if one.segment == segment)
                for segment in self.segments
            }
            derived["segment"] = ("plan", members)
        space = Space(domains, derived)
        if space.size > LARGEST_SPACE:
            root.refuse(None, f"{action.name} has {space.size} combinations: too many to try all.")
        return space

    def _members(self, root: Table, key: str) -> list[tuple[str, Table]]:
        table = root.table(key)
        for name in sorted(REQUIRED_VALUES.get(key, ())):
            if name not in table.values:
                table.refuse(None, f"{key} lacks {name!r}, which the software relies on.")
        for name in table.values:
            if REQUIRED_VALUES.get(key) and name not in REQUIRED_VALUES[key]:
                table.refuse(
                    name, f"{key} can't hold {name!r}.", one_of(name, REQUIRED_VALUES[key])
                )
        if not table.values:
            table.refuse(None, f"{key} is empty.")
        return list(table.named())

    def _labelled(self, root: Table, key: str, fact: str) -> dict[Value, Text]:
        self.labels[fact] = {name: _text(table) for name, table in self._members(root, key)}
        return self.labels[fact]

    def _flow(self, name: str, table: Table) -> Flow:
        carries, default = _text(table.table("carries")), table.table("default")
        states = {one: default.one_of(one, ("on", "off")) == "on" for one in self.providers}
        default.finish()
        switches = table.texts("switches")
        for index, switch in enumerate(switches):
            if switch not in self.switches:
                table.source.refuse(
                    (*table.path, "switches", index),
                    f"{switch!r} is not a switch of this document.",
                    one_of(switch, self.switches),
                )
        return Flow(name, _text(table), carries, states, switches, table.line)


def _text(table: Table) -> Text:
    """`en` and `zh` of a table that has nothing else unread."""
    text = Text(table.text("en"), table.text("zh"))
    table.finish()
    return text


def _heading(table: Table) -> Heading:
    return Heading(table.text("id"), table.text("source"), _text(table))


def _unique(table: Table, name: str, ids: set[str]) -> None:
    if _ID.fullmatch(name) is None:
        table.refuse("id", f"{name!r} can't be an id.", "lower-case words joined by . or -")
    if name in ids:
        table.refuse("id", f"the id {name!r} is used twice.")
    ids.add(name)


def _rows(table: Table) -> tuple[str, ...]:
    rows = table.texts("rows")
    for index, row in enumerate(rows):
        if _ROW.fullmatch(row) is None:
            table.source.refuse((*table.path, "rows", index), f"{row!r} is not a row's id.")
    return rows


def _period(table: Table, key: str) -> str:
    text = table.text(key)
    try:
        return str(periods.parse(text))
    except InputError as error:
        table.refuse(key, error.message, error.hint)


def _clause(
    table: Table, action: Action | None, space: Space | None, headings: Sequence[str], ids: set[str]
) -> Clause:
    name = table.text("id")
    _unique(table, name, ids)
    heading, rows = table.one_of("heading", headings), _rows(table)
    when: tuple[Condition, ...] = ()
    effect = retention = None
    if action is not None and space is not None:
        when = _conditions(table, "when", action, space)
        effect = table.one_of("then", action.effects)
        retention = _period(table, "for") if action.keeps else None
    kind, line = action.name if action is not None else None, table.line
    return Clause(name, kind, heading, rows, when, effect, retention, _text(table), line)


def _conditions(table: Table, key: str, action: Action, space: Space) -> tuple[Condition, ...]:
    conditions = []
    given = table.table(key)
    for fact, raw in given.values.items():
        domain = space.values(fact)
        if domain is None:
            known = [*space.domains, *space.derived]
            given.refuse(fact, f"{fact!r} is not a fact of {action.name}.", one_of(fact, known))
        values = raw if isinstance(raw, list) else [raw]
        if not values:
            given.refuse(fact, f"{fact} lists no value, so this can never hold.")
        held: list[str | bool] = []
        for index, value in enumerate(values):
            path = (*given.path, fact, index) if isinstance(raw, list) else (*given.path, fact)
            if not isinstance(value, str | bool) or type(value) is not type(domain[0]):
                kind = "true or false" if isinstance(domain[0], bool) else "a string"
                given.source.refuse(path, f"{fact} must be {kind}.")
            if value not in domain:
                given.source.refuse(
                    path, f"{fact} can't be {value!r}.", one_of(str(value), map(str, domain))
                )
            if value in held:
                given.source.refuse(path, f"{value!r} stands in {fact} twice.")
            held.append(value)
        conditions.append(Condition(fact, tuple(held)))
    return tuple(conditions)


def _invariant(table: Table, spaces: Mapping[str, Space], ids: set[str]) -> Invariant:
    name, rows = table.text("id"), _rows(table)
    _unique(table, name, ids)
    action = ACTIONS[table.one_of("action", ACTIONS)]
    space = spaces[action.name]
    when = _conditions(table, "when", action, space) if table.has("when") else ()
    unless = _conditions(table, "unless", action, space) if table.has("unless") else ()
    if table.has("unless") and not unless:
        table.refuse("unless", "unless = {} exempts everything.")
    demands: tuple[Demand, ...] = ("at_most", "exactly") if action.keeps else ("never", "always")
    named = [one for one in demands if table.has(one)]
    if len(named) != 1:
        table.refuse(None, f"An invariant of {action.name} needs one of: {', '.join(demands)}.")
    demand = named[0]
    value = _period(table, demand) if action.keeps else table.one_of(demand, action.effects)
    line = table.line
    return Invariant(name, rows, action.name, when, unless, demand, value, _text(table), line)


def _local_transcripts(table: Table) -> LocalRetention:
    local = LocalRetention(
        table.text("setting"),
        table.whole("default_days"),
        table.whole("max_days"),
        table.whole("kept_days") if table.has("kept_days") else 0,
        table.line,
    )
    if local.default_days > local.max_days:
        table.refuse("default_days", "default_days is more than max_days.")
    table.finish()
    return local


def _survey(table: Table) -> SurveyQuestion:
    survey = SurveyQuestion(_text(table.table("question")), table.texts("answers"))
    table.finish()
    return survey


def _feedback(table: Table) -> Feedback:
    feedback = Feedback(
        table.texts("commands"), table.one_of("public_issue", ("optional", "never"))
    )
    table.finish()
    return feedback
