"""Values that an agent is given, the file they stand in, and the clause of each. Pure.

Rows: O3.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import tomli_w

from bailee.json_values import Json, JsonObject

FileForm = Literal["json", "toml"]


@dataclass(frozen=True, slots=True)
class ManagedValue:
    """One key and what must stand there. `key`: the names on the way to it, outermost first.
    `clause`: the clause or statement of the document that it makes true.
    """

    key: tuple[str, ...]
    value: Json
    clause: str

    @property
    def name(self) -> str:
        """The key as people write it."""
        return ".".join(self.key)


@dataclass(frozen=True, slots=True)
class NotCovered:
    """What the document says and the agent can't be told by a file. `clause`: which clause;
    `reason`: the key of a text in the catalogue of words.
    """

    clause: str
    reason: str


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file that an administrator puts on a machine. `path`: where this agent has it on Linux."""

    path: str
    form: FileForm
    values: tuple[ManagedValue, ...]

    def content(self) -> JsonObject:
        """All the values as one object."""
        made: JsonObject = {}
        for one in self.values:
            _put(made, one.key, one.value)
        return made

    def text(self) -> str:
        """The file as the agent reads it, the same bytes each time."""
        if self.form == "json":
            return json.dumps(self.content(), ensure_ascii=False, indent=2) + "\n"
        return tomli_w.dumps(self.content())


@dataclass(frozen=True, slots=True)
class ManagedSettings:
    """What one agent is told: `document` is the SHA-256 (hex) of the policy document."""

    agent: str
    document: str
    file: ManagedFile
    not_covered: tuple[NotCovered, ...]

    def checksum(self) -> str:
        """See `checksum`."""
        return checksum(self.file.content())

    def as_json(self) -> JsonObject:
        """The object that `bailee policy settings --json` shows."""
        values: list[Json] = [
            {"key": one.name, "value": one.value, "clause": one.clause} for one in self.file.values
        ]
        missing: list[Json] = [
            {"clause": one.clause, "reason": one.reason} for one in self.not_covered
        ]
        return {
            "agent": self.agent,
            "document": self.document,
            "file": self.file.path,
            "checksum": self.checksum(),
            "settings": self.file.content(),
            "values": values,
            "not_covered": missing,
        }


def checksum(content: JsonObject) -> str:
    """`sha256:` and the digest of settings as JSON with keys sorted at every level and no space
    between: as the protocol has it by which Claude Code takes them.
    """
    ordered = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(ordered.encode()).hexdigest()}"


def _put(into: JsonObject, key: tuple[str, ...], value: Json) -> None:
    for name in key[:-1]:
        within = into.setdefault(name, {})
        assert isinstance(within, dict), "a value and a table of the same name"
        into = within
    into[key[-1]] = value
