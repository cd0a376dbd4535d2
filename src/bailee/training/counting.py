"""What a dataset holds, counted while it is written: by plan, clause, language, model, tool. Pure.

Counts of shards are added up in any order. There is no content in them: a tool's name is counted
when a client declared it by a plain name, else as `other`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Final

from bailee.json_values import JsonObject, members, whole
from bailee.training.dataset import Row

OTHER: Final = "other"
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,63}\Z")
_MOST_NAMES: Final = 200


@dataclass(slots=True)
class Counts:
    """Rows by what they are, calls by tool, masked places by rule."""

    rows: int = 0
    subagents: int = 0
    messages: int = 0
    characters: int = 0
    plans: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    clauses: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.subagents += bool(row.parent)
        self.messages += len(row.messages)
        self.characters += sum(len(one.content) + len(one.thinking) for one in row.messages)
        self.plans[row.plan] += 1
        self.channels[row.channel] += 1
        self.clauses[row.clause] += 1
        self.languages[row.language] += 1
        _named(self.models, row.model)
        for message in row.messages:
            for call in message.tool_calls:
                _named(self.tools, call.name)
        for one in row.masked:
            self.masked[one.rule] += one.count

    def include(self, more: Counts) -> None:
        """Add what was counted elsewhere."""
        for one in fields(self):
            held, added = getattr(self, one.name), getattr(more, one.name)
            if isinstance(held, Counter):
                for name, count in added.items():
                    known = name in held or len(held) < _MOST_NAMES
                    held[name if known else OTHER] += count
            else:
                setattr(self, one.name, held + added)

    def as_json(self) -> JsonObject:
        """The counts as a JSON object, in an order of their own."""
        made: JsonObject = {}
        for one in fields(self):
            held = getattr(self, one.name)
            made[one.name] = dict(sorted(held.items())) if isinstance(held, Counter) else held
        return made


def _named(counter: Counter[str], name: str) -> None:
    known = name in counter or (len(counter) < _MOST_NAMES and _PLAIN.match(name))
    counter[name if known else OTHER] += 1


def from_json(value: object) -> Counts:
    """Counts that were written as JSON."""
    held = members(value)
    made = Counts()
    for one in fields(Counts):
        if isinstance(getattr(made, one.name), Counter):
            counter = Counter({name: whole(n) for name, n in members(held.get(one.name)).items()})
            setattr(made, one.name, counter)
        else:
            setattr(made, one.name, whole(held.get(one.name)))
    return made
