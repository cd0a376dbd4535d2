"""Reading the registry: a TOML document into declared fields, measures, error names.

Rules kept here:

* Each entry has a name, a description, a sensitivity, an owner and a day it expires: after that
  day the field is refused until somebody renews it. Entries of a table may share the last three.
* A field's sensitivity is `technical` or `interaction`. What is more sensitive has no place here.
* An entry that is malformed, or names a field that is not declared, stops the reading.

The form follows Mozilla's Glean (`metrics.yaml`), where undeclared data can't be sent either.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, TypeAlias

from bailee.errors import InputError
from bailee.registry.values import ValueKind

FORMAT: Final = "bailee-registry/1"
SENSITIVITIES: Final = ("technical", "interaction")
_TYPES: Final = ("enum", "pattern", "version", "number", "integer", "boolean", "installation")
_NAME = re.compile(r"[a-z][A-Za-z0-9_]*([._][A-Za-z0-9_]+)*")
_Table: TypeAlias = Mapping[str, object]
"""A table of TOML, as it was read."""
_MEASURES: Final = ("counter", "gauge", "histogram", "event", "span", "error")


@dataclass(frozen=True, slots=True)
class Field:
    """A declared attribute. `other_names`: what clients call the same."""

    name: str
    kind: ValueKind
    description: str
    sensitivity: str
    owner: str
    expires: date
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A declared metric, event, span or error. `of`: the field an event's figures are made of."""

    name: str
    kind: str
    unit: str
    attributes: frozenset[str]
    description: str
    sensitivity: str
    owner: str
    expires: date
    of: str | None = None
    survey: bool = False


@dataclass(frozen=True, slots=True)
class ErrorNames:
    """What may be named in a stack frame: packages of ours, packages of others, functions."""

    ours: tuple[str, ...]
    others: frozenset[str]
    functions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that is declared. `common`: the fields that every measure and error may have."""

    fields: Mapping[str, Field]
    by_any_name: Mapping[str, Field]
    measures: Mapping[str, Measure]
    refused: Mapping[str, str]
    errors: ErrorNames
    common: frozenset[str]


class _About(NamedTuple):
    """What every entry says of itself."""

    name: str
    description: str
    sensitivity: str
    owner: str
    expires: date


@cache
def load() -> Registry:
    """The registry that comes with the package."""
    return read(resources.files("bailee.registry").joinpath("registry.toml").read_bytes())


def read(document: bytes) -> Registry:
    """The registry of a document's bytes.

    Raises:
        InputError: code `configuration`; it says which entry is wrong.
    """
    try:
        raw = tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong("the registry", f"not TOML ({error})") from error
    if raw.get("format") != FORMAT:
        raise _wrong("the registry", f"its format is not {FORMAT}")
    defaults = _table("defaults", raw.get("defaults", {}))
    fields = {one.name: one for one in (_field(defaults, e) for e in _list(raw, "field"))}
    by_any_name: dict[str, Field] = {}
    declared: dict[str, Field] = {}
    for made in fields.values():
        declared[made.name] = made
        for name in (made.name, *made.other_names):
            if by_any_name.setdefault(name, made) is not made:
                raise _wrong(name, "declared twice")
    measures = {m.name: m for m in (_measure(defaults, e, declared) for e in _list(raw, "measure"))}
    refused = {
        str(name): str(why) for name, why in _table("refused", raw.get("refused", {})).items()
    }
    if both := refused.keys() & by_any_name.keys():
        raise _wrong(min(both), "declared and refused")
    common = frozenset(_texts("defaults", defaults, "attributes"))
    if not common <= declared.keys():
        raise _wrong("defaults", "names a field that is not declared")
    errors = _errors(_table("errors", raw.get("errors", {})))
    return Registry(declared, by_any_name, measures, refused, errors, common)


def _table(name: str, value: object) -> _Table:
    if not isinstance(value, dict):
        raise _wrong(name, "not a table")
    return value


def _list(raw: _Table, name: str) -> list[_Table]:
    entries = raw.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise _wrong(name, "not a list of entries")
    return entries


def _texts(name: str, entry: _Table, key: str) -> list[str]:
    """A list of texts; empty where there is none."""
    found = entry.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _wrong(name, f"{key} is not a list of texts")
    return found


def _number(name: str, entry: _Table, key: str) -> float:
    found = entry.get(key, 0)
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise _wrong(name, f"{key} is not a number")
    return float(found)


def _pattern(name: str, entry: _Table) -> re.Pattern[str]:
    text = entry.get("pattern")
    try:
        if isinstance(text, str):
            return re.compile(text, re.ASCII)
    except re.error as error:
        raise _wrong(name, "its pattern is malformed") from error
    raise _wrong(name, "its pattern is missing")


def _field(defaults: _Table, entry: _Table) -> Field:
    about = _described(defaults, entry)
    name, type_ = about.name, entry.get("type")
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise _wrong(name, f"type is not one of {', '.join(_TYPES)}")
    pattern = _pattern(name, entry) if type_ == "pattern" else None
    values = _texts(name, entry, "values")
    if type_ == "enum" and not values:
        raise _wrong(name, "an enum without values")
    if type_ in ("number", "integer") and not {"min", "max"} <= entry.keys():
        raise _wrong(name, "a number without min and max")
    aliases = _table(name, entry.get("aliases", {}))
    kind = ValueKind(
        type_,
        frozenset(values),
        pattern,
        _number(name, entry, "min"),
        _number(name, entry, "max"),
        entry.get("other") is True,
        {alias: str(stands_for) for alias, stands_for in aliases.items()},
    )
    return Field(
        name,
        kind,
        about.description,
        about.sensitivity,
        about.owner,
        about.expires,
        tuple(_texts(name, entry, "other_names")),
    )


def _measure(defaults: _Table, entry: _Table, fields: Mapping[str, Field]) -> Measure:
    about = _described(defaults, entry)
    name, kind, of = about.name, entry.get("kind"), entry.get("of")
    if not isinstance(kind, str) or kind not in _MEASURES:
        raise _wrong(name, f"kind is not one of {', '.join(_MEASURES)}")
    if of is not None and not isinstance(of, str):
        raise _wrong(name, "of is not the name of a field")
    common, own = _texts("defaults", defaults, "attributes"), _texts(name, entry, "attributes")
    attributes = frozenset((*common, *own))
    for attribute in (*attributes, *([] if of is None else [of])):
        if attribute not in fields:
            raise _wrong(name, f"names the field {attribute!r}, which is not declared")
    return Measure(
        name,
        kind,
        str(entry.get("unit", "1")),
        attributes,
        about.description,
        about.sensitivity,
        about.owner,
        about.expires,
        of,
        entry.get("survey") is True,
    )


def _described(defaults: _Table, entry: _Table) -> _About:
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("an entry", "it has no name, or one with odd characters")
    description, sensitivity, owner, expires = (
        entry.get(key, defaults.get(key))
        for key in ("description", "sensitivity", "owner", "expires")
    )
    if not isinstance(description, str) or not description:
        raise _wrong(name, "it has no description")
    if not isinstance(owner, str) or not owner:
        raise _wrong(name, "it has no owner")
    if not isinstance(sensitivity, str) or sensitivity not in SENSITIVITIES:
        raise _wrong(name, f"sensitivity is not one of {', '.join(SENSITIVITIES)}")
    if not isinstance(expires, date):
        raise _wrong(name, "expires is not a day")
    return _About(name, description, sensitivity, owner, expires)


def _errors(raw: _Table) -> ErrorNames:
    return ErrorNames(
        tuple(_texts("errors", raw, "ours")),
        frozenset(_texts("errors", raw, "others")),
        frozenset(_texts("errors", raw, "functions")),
    )


def _wrong(name: str, what: str) -> InputError:
    return InputError(
        f"registry: {name}: {what}.",
        code="configuration",
        hint="see docs/guides/telemetry.md for the form of an entry",
    )
