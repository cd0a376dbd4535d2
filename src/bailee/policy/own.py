"""An organisation's own document: clauses that narrow what the operator's document decides. Pure.

Rules kept here:

* A clause demands, and permits nothing. Of what the operator's document decides and all demands
  that hold, the strictest is the decision, so the order in which they stand is no matter.
* It is about what is decided from the facts of an account (`actions.OWN_ACTIONS`, `OWN_CLASSES`).
  What is nobody's, and what the operator counts by, is not an organisation's to decide.
* Longer than the operator's clauses have it, something is kept only in a room that their document
  opens (`[[room]]`), and never what they have kept not at all.
* Periods are days, so that any two can be compared, in February too.
* Of metrics and errors that its people send it demands that they are passed on to nobody, or kept
  nowhere (`[[bound]]`).
* Of itself it demands how much of it is kept, how much it uses in a day or a month at the most, and
  which models are asked for it: as much as the operator's document and settings leave, or less.
* Of the agents on its people's machines it demands which web pages they fetch and which MCP servers
  they have: so do the settings that are compiled for them.
* Of cloud sessions it demands how much of the network they have at the most, and which hosts they
  never reach (`[[network]]`): it opens nothing. Of what happens when nothing can be recorded, or a
  limit can't be told, it demands that nothing goes on (`on_recorder_failure`, `on_limits_unknown`).
* A document may come to stand beside another one of the operator's than it was proved against. What
  it demands then holds all the same where it is stricter. A condition that can't be read any more
  is left out: the clause holds for more, never for less, and uses no room. So does one that is for
  other requests, models or regions where the operator's document comes to tell some of them apart
  (`meanings`).

The format is described in docs/reference/organisation-document.md.
Rows: P1, P2, R1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bailee.errors import InputError
from bailee.policy import network as demands
from bailee.policy import period as periods
from bailee.policy.actions import ACTIONS, NEEDED_VALUES, OWN_ACTIONS, OWN_CLASSES, Action
from bailee.policy.amounts import told_by
from bailee.policy.bounds import (
    AGENT_SETTING_OF,
    ANSWERS,
    ANY,
    FURTHER,
    KEY_SNAPSHOTS,
    MEASURED,
    MODELS,
    OLD_KEYS,
    PLACES,
    PROGRAMS,
    SIZES,
    STORE,
    USE_SETTING_OF,
    WEB_PAGES,
    bounded,
)
from bailee.policy.document import (
    BOUND,
    NETWORK,
    Clause,
    Condition,
    Document,
    NetworkDemand,
    RetentionRoom,
    SettingBound,
    Text,
)
from bailee.policy.meanings import MeantBy, ToldApart, told_apart
from bailee.policy.names import conditions_of
from bailee.policy.reading import Table, Unsound, parse
from bailee.policy.space import Combination, Space
from bailee.records import dataclass

FORMAT: Final = "bailee-own-policy/1"
LARGEST: Final = 16 * 1024
"""Bytes of a document: it is put on record whole."""
MOST: Final = 40
"""Clauses of one."""
PREFIX: Final = "own."
"""What each id of a clause begins with: none of the operator's does."""
_NOT_OWN: Final[Mapping[str, str]] = {
    **dict.fromkeys((OLD_KEYS, KEY_SNAPSHOTS), "the keyring is one for all whose data is here"),
    **dict.fromkeys((ANSWERS, FURTHER), "the operator answers requests, which are people's"),
}
"""What the operator's document alone bounds, and why: nobody is to believe in a bound that nothing
asks for.
"""
OWN_BOUNDS: Final = (*MEASURED, *AGENT_SETTING_OF, *SIZES, *USE_SETTING_OF)
"""What an organisation's document can bound."""
UNSURE: Final = ("on_recorder_failure", "on_limits_unknown")
"""What a document can demand to be refused where it can't be told, or not be recorded."""
_ID: Final = re.compile(r"own\.[a-z0-9]+(?:[.-][a-z0-9]+)*", re.ASCII)
_LONGEST_ID: Final = 60
_LONGEST_TEXT: Final = 1000


@dataclass(frozen=True, slots=True)
class OwnClause:
    """A demand. `whole`: all of its conditions could be read; where one could not, it holds for
    more than was written, and uses no room.
    """

    clause: Clause
    whole: bool = True

    @property
    def days(self) -> int:
        """For how many days it has something kept at the most."""
        return 0 if self.clause.retention is None else periods.parse(self.clause.retention).count

    def holds(self, seen: Mapping[str, object]) -> bool:
        """Whether it is about what has these facts."""
        return all(seen[one.fact] in one.values for one in self.clause.when)


@dataclass(frozen=True, slots=True)
class OwnDocument:
    """An organisation's document, read against the operator's. `sha256`: hex, of its exact bytes;
    `clauses`: by action, in order. `network`: of cloud sessions; `bounds`: of where its metrics and
    errors go, and of its people's agents; `refuses`: of `UNSURE`, what is refused whatever the
    operator's document has.
    `readable`: False for what stands in the place of one that can't be read: it lets nothing pass,
    and says nothing of what is kept.
    """

    sha256: str
    clauses: Mapping[str, tuple[OwnClause, ...]]
    readable: bool = True
    network: tuple[NetworkDemand, ...] = ()
    bounds: tuple[SettingBound, ...] = ()
    refuses: frozenset[str] = frozenset()

    @property
    def every_clause(self) -> tuple[Clause, ...]:
        """All of its clauses, by action."""
        decided = tuple(one.clause for group in self.clauses.values() for one in group)
        demanded = (one.clause for one in self.network)
        return (*decided, *demanded, *(one.clause for one in self.bounds))

    def deciding(
        self,
        action: str,
        seen: Combination,
        effect: str,
        retention: str | None,
        rooms: Sequence[RetentionRoom],
    ) -> Clause | None:
        """The clause by which something is decided otherwise than the operator's document does,
        with `effect` and, of what is kept, `retention`; None: the operator's decides.
        """
        found = [one for one in self.clauses.get(action, ()) if one.holds(seen)]
        if not found:
            return None
        if retention is None:
            first = found[0].clause
            return first if effect != first.effect else None
        if seen["data_class"] not in OWN_CLASSES:  # where a condition could not be read
            return None
        strictest = min(found, key=lambda one: one.days)
        if periods.shorter(strictest.days, retention):
            return strictest.clause
        if periods.never_longer(strictest.days, retention) or not strictest.whole:
            return None
        if any(
            one.has(seen) and periods.never_longer(strictest.days, one.at_most) for one in rooms
        ):
            return strictest.clause
        return None


# -- reading -----------------------------------------------------------------------------------


def read(
    content: bytes,
    under: Document,
    *,
    file: str = "the document",
    before: bool = False,
    then: ToldApart | None = None,
) -> OwnDocument:
    """Read an organisation's document against the operator's. `before`: it was proved against
    another one of theirs, which told apart what `then` does (None: nobody knows).

    Raises:
        Unsound: anything malformed, with place and reason.
        InputError: code `request_too_large`.
    """
    if len(content) > LARGEST:
        raise InputError(
            f"{file} is too large to be an organisation's.",
            code="request_too_large",
            hint=f"{LARGEST:,} bytes at most; nothing was changed",
        )
    root = parse(content, file)
    if root.text("format") != FORMAT:
        root.refuse("format", "This is no organisation's document.", f"use {FORMAT}")
    ids: set[str] = set()
    meant = MeantBy(then, told_apart(under)) if before else None
    clauses = {
        name: tuple(
            _clause(table, ACTIONS[name], under.spaces[name], ids, meant)
            for table in root.tables(name)
        )
        for name in OWN_ACTIONS
    }
    for name in ACTIONS:
        if name not in OWN_ACTIONS and root.has(name):
            root.refuse(
                name,
                f"{name} is not an organisation's to decide.",
                f"it has {', '.join(OWN_ACTIONS)}",
            )
    network = tuple(_network(table, ids) for table in root.tables(NETWORK))
    bounds = _bounds(root, ids)
    refuses = frozenset(one for one in UNSURE if root.has(one) and _refuses(root, one))
    root.finish()
    if not ids and not refuses:
        root.refuse(None, "This document has no clause.", "remove it instead")
    return OwnDocument(
        hashlib.sha256(content).hexdigest(),
        {name: all_ for name, all_ in clauses.items() if all_},
        network=network,
        bounds=bounds,
        refuses=refuses,
    )


def unreadable(content: bytes, under: Document) -> OwnDocument:
    """What stands in the place of a document that can't be read any more: nothing goes out or is
    trained on until there is one that can.
    """
    text = Text(
        "This organisation's own document can't be read, so nothing is let through until it is "
        "given again, or removed.",
        "该组织自己的政策文件无法读取；在重新提交或移除之前，其任何内容都不会发出。",
    )
    clauses = {
        action: (
            OwnClause(
                Clause(f"{PREFIX}unreadable", action, "", (), (), "deny", None, text, 1), False
            ),
        )
        for action in ("train", "send", "pass", "reach")
        if action in under.spaces
    }
    shut = Clause(f"{PREFIX}unreadable", NETWORK, "", (), (), "deny", None, text, 1)
    here = Clause(f"{PREFIX}unreadable", BOUND, "", (), (), "deny", None, text, 1)
    return OwnDocument(
        hashlib.sha256(content).hexdigest(),
        clauses,
        readable=False,
        network=(NetworkDemand(shut, demands.LEVELS[0], ()),),
        bounds=(
            *(SettingBound(here, of, None, (STORE,)) for of in MEASURED),
            *(SettingBound(here, of, None, ()) for of in (*AGENT_SETTING_OF, MODELS)),
        ),
        refuses=frozenset(UNSURE),
    )


def _refuses(root: Table, key: str) -> bool:
    if root.text(key) != "refuse":
        root.refuse(key, f"{key} can only be made stricter here.", f'{key} = "refuse"')
    return True


def _network(table: Table, ids: set[str]) -> NetworkDemand:
    name = _name(table, ids)
    level, hosts = demands.demanded(table)
    when = demands.conditions(level, hosts)
    text, line = _text(table), table.line
    clause = Clause(name, NETWORK, "", (), when, "deny", None, text, line)
    return NetworkDemand(clause, level, hosts)


def _bounds(root: Table, ids: set[str]) -> tuple[SettingBound, ...]:
    found: list[SettingBound] = []
    for table in root.tables(BOUND):
        name = _name(table, ids)
        said = table.values.get("of")
        if isinstance(said, str) and said in _NOT_OWN:
            table.refuse(
                "of",
                f"{said} is not an organisation's to bound: {_NOT_OWN[said]}.",
                f"it has {', '.join(OWN_BOUNDS)}",
            )
        of, at_most, only, deny = bounded(table, OWN_BOUNDS)
        if of in MEASURED and {*(only or ())} == {*PLACES}:
            table.refuse("only", f"{name} demands nothing.", f'only = ["{STORE}"], or []')
        listed = only or ()
        if ANY in listed and (of in (WEB_PAGES, MODELS) or PROGRAMS in listed) and not deny:
            table.refuse("only", f"{name} demands nothing.", 'only = ["name"], or []')
        if any(one.of == of for one in found):
            table.refuse("of", f"{of} is bounded twice.", "keep the stricter one")
        said = (("only", only), ("deny", deny))
        when = tuple(Condition(key, names) for key, names in said if names)
        text, line = _text(table), table.line
        if at_most is not None:
            text = told_by(text, of, at_most)
            when = (Condition("at_most", (at_most,)),)
        clause = Clause(name, BOUND, "", (), when, "deny", None, text, line)
        found.append(SettingBound(clause, of, at_most, only, deny))
    return tuple(found)


def _name(table: Table, ids: set[str]) -> str:
    name = table.text("id")
    if _ID.fullmatch(name) is None or len(name) > _LONGEST_ID:
        table.refuse("id", f"{name[:80]!r} can't be an id here.", "like own.seven-days")
    if name in ids:
        table.refuse("id", f"the id {name!r} is used twice.")
    ids.add(name)
    if len(ids) > MOST:
        table.refuse(None, f"There are more than {MOST} clauses.", "join some of them")
    return name


def _clause(
    table: Table, action: Action, space: Space, ids: set[str], meant: MeantBy | None
) -> OwnClause:
    name = _name(table, ids)
    when, whole = _conditions(table.table("when"), action, space, meant)
    effect = table.text("then")
    strictest = "keep" if action.keeps else action.effects[0]
    if effect != strictest:
        table.refuse(
            "then",
            "An organisation's document allows nothing: it can only narrow the operator's.",
            f'then = "{strictest}"',
        )
    retention = None
    if action.keeps:
        retention = table.text("for")
        try:
            period = periods.parse(retention)
        except InputError as error:
            table.refuse("for", error.message, error.hint)
        if period.unit != "D":
            table.refuse("for", f"{retention} is not in days.", "such as P7D")
    text, line = _text(table), table.line
    clause = Clause(name, action.name, "", (), when, effect, retention, text, line)
    return OwnClause(clause, whole)


def _conditions(
    table: Table, action: Action, space: Space, meant: MeantBy | None
) -> tuple[tuple[Condition, ...], bool]:
    """The conditions, and whether they are all that is written."""
    if meant is None:
        return _wide(conditions_of(table, action, space), space), True
    found: list[Condition] = []
    for fact, value in table.values.items():
        try:
            said = {fact: meant.by_now(fact, value)}
            found += conditions_of(Table(said, table.path, table.source), action, space)
        except Unsound:
            continue
    return _wide(found, space), len(found) == len(table.values)


def _wide(conditions: Sequence[Condition], space: Space) -> tuple[Condition, ...]:
    """What is for all other requests is for those too that the operator's document gives a name."""
    named = {*(space.values("route") or ())} - NEEDED_VALUES["routes"]
    return tuple(
        replace(one, values=tuple(dict.fromkeys((*one.values, *sorted(map(str, named))))))
        if one.fact == "route" and "other" in one.values
        else one
        for one in conditions
    )


def _text(table: Table) -> Text:
    """In one of the languages at least; the other is the same where it is missing."""
    given = [table.text(one) for one in ("en", "zh") if table.has(one)]
    if not given:
        table.refuse(None, "This clause says nothing in words.", 'give en = "…" or zh = "…"')
    for one in given:
        if len(one) > _LONGEST_TEXT:
            table.refuse(None, f"A text has more than {_LONGEST_TEXT} characters.")
    table.finish()
    return Text(given[0], given[-1])
