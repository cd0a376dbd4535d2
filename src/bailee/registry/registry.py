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
from typing import Any, Final

from bailee.errors import InputError
from bailee.registry.values import ValueKind

FORMAT: Final = "bailee-registry/1"
SENSITIVITIES: Final = ("technical", "interaction")
_TYPES: Final = ("enum", "pattern", "version", "number", "integer", "boolean", "installation")
_NAME = re.compile(r"[a-z][A-Za-z0-9_]*([._][A-Za-z0-9_]+)*")
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
    defaults = raw.get("defaults", {})
    fields = {entry["name"]: entry for entry in map(_field(defaults), _list(raw, "field"))}
    by_any_name: dict[str, Field] = {}
    declared: dict[str, Field] = {}
    for entry in fields.values():
        made: Field = entry["made"]
        declared[made.name] = made
        for name in (made.name, *made.other_names):
            if by_any_name.setdefault(name, made) is not made:
                raise _wrong(name, "declared twice")
    measures = {m.name: m for m in (_measure(defaults, e, declared) for e in _list(raw, "measure"))}
    refused = {str(name): str(why) for name, why in raw.get("refused", {}).items()}
    if both := refused.keys() & by_any_name.keys():
        raise _wrong(min(both), "declared and refused")
    common = frozenset(defaults.get("attributes", ()))
    if not common <= declared.keys():
        raise _wrong("defaults", "names a field that is not declared")
    errors = _errors(raw.get("errors", {}))
    return Registry(declared, by_any_name, measures, refused, errors, common)


def _list(raw: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = raw.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise _wrong(name, "not a list of entries")
    return entries


def _field(defaults: Mapping[str, Any]) -> Any:
    def made(entry: dict[str, Any]) -> dict[str, Any]:
        given = _described(defaults, entry)
        name = given["name"]
        type_ = entry.get("type")
        if type_ not in _TYPES:
            raise _wrong(name, f"type is not one of {', '.join(_TYPES)}")
        try:
            pattern = re.compile(entry["pattern"], re.ASCII) if type_ == "pattern" else None
        except (KeyError, re.error) as error:
            raise _wrong(name, "its pattern is missing or malformed") from error
        if type_ == "enum" and not entry.get("values"):
            raise _wrong(name, "an enum without values")
        if type_ in ("number", "integer") and not {"min", "max"} <= entry.keys():
            raise _wrong(name, "a number without min and max")
        kind = ValueKind(
            type_,
            frozenset(entry.get("values", ())),
            pattern,
            float(entry.get("min", 0)),
            float(entry.get("max", 0)),
            entry.get("other") is True,
            dict(entry.get("aliases", {})),
        )
        made = Field(
            name,
            kind,
            given["description"],
            given["sensitivity"],
            given["owner"],
            given["expires"],
            tuple(entry.get("other_names", ())),
        )
        return {"name": name, "made": made}

    return made


def _measure(
    defaults: Mapping[str, Any], entry: dict[str, Any], fields: Mapping[str, Field]
) -> Measure:
    given = _described(defaults, entry)
    name = given["name"]
    if entry.get("kind") not in _MEASURES:
        raise _wrong(name, f"kind is not one of {', '.join(_MEASURES)}")
    attributes = frozenset((*defaults.get("attributes", ()), *entry.get("attributes", ())))
    for attribute in (*attributes, *([entry["of"]] if "of" in entry else [])):
        if attribute not in fields:
            raise _wrong(name, f"names the field {attribute!r}, which is not declared")
    return Measure(
        name,
        entry["kind"],
        str(entry.get("unit", "1")),
        attributes,
        given["description"],
        given["sensitivity"],
        given["owner"],
        given["expires"],
        entry.get("of"),
        entry.get("survey") is True,
    )


def _described(defaults: Mapping[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("an entry", "it has no name, or one with odd characters")
    given = {
        key: entry.get(key, defaults.get(key))
        for key in ("description", "sensitivity", "owner", "expires")
    }
    for key in ("description", "owner"):
        if not isinstance(given[key], str) or not given[key]:
            raise _wrong(name, f"it has no {key}")
    if given["sensitivity"] not in SENSITIVITIES:
        raise _wrong(name, f"sensitivity is not one of {', '.join(SENSITIVITIES)}")
    if not isinstance(given["expires"], date):
        raise _wrong(name, "expires is not a day")
    return {"name": name, **given}


def _errors(raw: Mapping[str, Any]) -> ErrorNames:
    return ErrorNames(
        tuple(raw.get("ours", ())),
        frozenset(raw.get("others", ())),
        frozenset(raw.get("functions", ())),
    )


def _wrong(name: str, what: str) -> InputError:
    return InputError(
        f"registry: {name}: {what}.",
        code="configuration",
        hint="see docs/guides/telemetry.md for the form of an entry",
    )
