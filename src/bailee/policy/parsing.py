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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from bailee.errors import InputError
from bailee.policy import period as periods
from bailee.policy.actions import ACTIONS, Action
from bailee.policy.amounts import told_by
from bailee.policy.bounds import bounded
from bailee.policy.document import (
    BOUND,
    NETWORK,
    OPENED,
    OPENS,
    WITHOUT,
    Clause,
    Condition,
    Demand,
    Document,
    Feedback,
    Heading,
    Invariant,
    LocalRetention,
    NetworkDemand,
    OutageMinutes,
    RetentionRoom,
    SettingBound,
    SurveyQuestion,
)
from bailee.policy.names import DocumentNames, conditions_of, text_of
from bailee.policy.reading import Table, parse
from bailee.policy.space import Space

FORMAT: Final = "bailee-policy/1"
MOST: Final = 300
"""Clauses of one action, and invariants: what proving takes grows with the square."""
_LONGEST_OUTAGE: Final = 7 * 24 * 60  # minutes
_ID: Final = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*", re.ASCII)
_ROW: Final = re.compile(r"[A-Z][1-9][0-9]?", re.ASCII)


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
    title = text_of(root.table("title"))

    words = DocumentNames(root)
    spaces = {action.name: words.space(action) for action in ACTIONS.values()}
    flows = words.whole_flows(spaces["send"])
    headings = tuple(_heading(table) for table in root.tables("heading"))
    ids: set[str] = set()
    for table, heading in zip(root.tables("heading"), headings, strict=True):
        _unique(table, heading.id, ids)
    heading_ids = [heading.id for heading in headings]
    ids = set()
    clauses = {
        action.name: tuple(
            _clause(table, action, spaces[action.name], heading_ids, ids)
            for table in _few(root, action.name)
        )
        for action in ACTIONS.values()
    }
    statements = tuple(
        _clause(table, None, None, heading_ids, ids) for table in root.tables("statement")
    )
    rooms = tuple(_room(table, spaces["retain"], heading_ids, ids) for table in _few(root, "room"))
    network = tuple(_demand(table, heading_ids, ids) for table in _few(root, NETWORK))
    bounds = _bounds(root, heading_ids, ids)
    statements += tuple(one.clause for some in (rooms, network, bounds) for one in some)
    invariants = tuple(_invariant(table, spaces, ids) for table in _few(root, "invariant"))
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
        flows=flows,
        switches=words.switches,
        labels=words.labels,
        local_transcripts=_local_transcripts(root.table("local_transcripts")),
        survey=_survey(root.table("survey")),
        feedback=_feedback(root.table("feedback")),
        headings=headings,
        clauses=clauses,
        statements=statements,
        invariants=invariants,
        rooms=rooms,
        spaces=spaces,
        facts=words.facts,
        settings=frozenset(words.settings),
        client_versions=words.client_versions,
        models=words.models,
        regions=words.regions,
        prefers=_prefers(root, words),
        sign_up=_sign_up(root, words),
        network=network,
        cloud_opens=_cloud_opens(root),
        without_database=_without_database(root),
        bounds=bounds,
        routes=words.routes,
    )
    root.finish()
    return document


def _prefers(root: Table, words: DocumentNames) -> tuple[str, ...]:
    """The upstreams that are asked first, of those that the document names."""
    if not root.has("prefers"):
        return ()
    found = root.texts("prefers")
    named = [str(one) for one in words.labels.get("place", ()) if one != "other"]
    for one in found:
        if one not in named:
            root.refuse("prefers", f"prefers names {one!r}, which [places] has not.")
    return found


def _sign_up(root: Table, words: DocumentNames) -> tuple[str, ...]:
    """The plans that people may take by themselves: those of consumers, or some of them."""
    consumers = tuple(one.name for one in words.plans.values() if one.segment == "consumer")
    if not root.has("sign_up"):
        return consumers
    found = root.texts("sign_up", some=False)
    for one in found:
        if one not in consumers:
            root.refuse("sign_up", f"sign_up names {one!r}, which is no plan for consumers.")
    return found


def _cloud_opens(root: Table) -> tuple[str, ...]:
    """What may be opened to cloud sessions beside their level: all of it, or some."""
    if not root.has(OPENS):
        return OPENED
    found = root.texts(OPENS, some=False)
    for one in found:
        if one not in OPENED:
            root.refuse(
                OPENS,
                f"{OPENS} names {one!r}, which nothing is called that can be opened.",
                f"there are {', '.join(OPENED)}",
            )
    return found


def _without_database(root: Table) -> OutageMinutes | None:
    """For how long requests go on without the databases; None: no end is said."""
    if not root.has(WITHOUT):
        return None
    table = root.table(WITHOUT)
    gateways = _minutes(table, "gateways") if table.has("gateways") else 0
    found = OutageMinutes(_minutes(table, "kept"), _minutes(table, "unkept"), gateways)
    table.finish()
    return found


def _minutes(table: Table, key: str) -> int:
    value = table.whole(key)
    if value > _LONGEST_OUTAGE:
        table.refuse(key, f"{key} is longer than a week.", f"{_LONGEST_OUTAGE} minutes at the most")
    return value


def _few(root: Table, key: str) -> Iterator[Table]:
    """The tables of an array that may have `MOST`."""
    for number, table in enumerate(root.tables(key)):
        if number == MOST:
            table.refuse(None, f"There are more than {MOST} of {key}.", "join some of them")
        yield table


def _heading(table: Table) -> Heading:
    return Heading(table.text("id"), table.text("source"), text_of(table))


def _unique(table: Table, name: str, ids: set[str]) -> None:
    if _ID.fullmatch(name) is None:
        table.refuse("id", f"{name!r} can't be an id.", "lower-case words joined by . or -")
    if name.startswith("own."):
        table.refuse("id", f"{name!r} is an id of organisations' own documents.", "begin otherwise")
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
    return Clause(name, kind, heading, rows, when, effect, retention, text_of(table), line)


def _room(table: Table, space: Space, headings: Sequence[str], ids: set[str]) -> RetentionRoom:
    when = _conditions(table, "when", ACTIONS["retain"], space)
    at_most = _period(table, "at_most")
    return RetentionRoom(_clause(table, None, None, headings, ids), when, at_most)


def _demand(table: Table, headings: Sequence[str], ids: set[str]) -> NetworkDemand:
    from bailee.policy.network import demanded  # here: the shipped documents demand nothing

    level, hosts = demanded(table)
    return NetworkDemand(_clause(table, None, None, headings, ids), level, hosts)


def _bounds(root: Table, headings: Sequence[str], ids: set[str]) -> tuple[SettingBound, ...]:
    found: list[SettingBound] = []
    for table in _few(root, BOUND):
        of, at_most, only, deny = bounded(table)
        if any(one.of == of for one in found):
            table.refuse("of", f"{of} is bounded twice.", "keep the stricter one")
        clause = _clause(table, None, None, headings, ids)
        told = clause.text if at_most is None else told_by(clause.text, of, at_most)
        found.append(SettingBound(replace(clause, text=told), of, at_most, only, deny))
    return tuple(found)


def _conditions(table: Table, key: str, action: Action, space: Space) -> tuple[Condition, ...]:
    return conditions_of(table.table(key), action, space)


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
    return Invariant(name, rows, action.name, when, unless, demand, value, text_of(table), line)


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
    survey = SurveyQuestion(text_of(table.table("question")), table.texts("answers"))
    table.finish()
    return survey


def _feedback(table: Table) -> Feedback:
    feedback = Feedback(
        table.texts("commands"), table.one_of("public_issue", ("optional", "never"))
    )
    table.finish()
    return feedback
