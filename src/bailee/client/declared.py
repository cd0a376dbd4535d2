"""Declared fields, and the guard that nothing undeclared passes. Pure but for `shipped`, which
reads the file that comes with the package.

Rules kept here:

* Default-deny by name and by value: a name that is not declared, a value that is not of its
  declared kind, or a declaration that has expired is an `InputError`. Nothing is mended or dropped
  in silence on the sending side, so that a wrong caller is found.
* No kind of field takes free text.
* A `Metric` and an `ErrorEvent` are made by the guard alone; what sends takes nothing else.
* Errors name declared things, never the value or the name that was refused.

Rows: S1, S2.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import date
from importlib import resources
from typing import Any, Final

from bailee.errors import InputError

FORMAT: Final = "bailee-client-registry/1"
SENSITIVITIES: Final = frozenset({"technical", "interaction"})
KINDS: Final = frozenset({"counter", "histogram"})
MOST_FRAMES: Final = 50

Scalar = str | int | float | bool

_VERSION: Final = re.compile(
    r"[0-9]{1,5}(\.[0-9]{1,5}){0,3}((a|b|rc|\.dev|\.post)[0-9]{1,5})?", re.A
)
_RANDOM: Final = re.compile(r"[0-9a-f]{32}", re.A)
_DOTTED: Final = re.compile(
    r"<?[A-Za-z_][A-Za-z0-9_]{0,59}>?(\.<?[A-Za-z_][A-Za-z0-9_]{0,59}>?){0,7}", re.A
)
_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field and the values it takes."""

    name: str
    type: str
    description: str
    values: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    most: int = 0

    def takes(self, value: object) -> bool:
        """Whether a value is of this field's kind."""
        if self.type == "boolean":
            return value is True or value is False
        if self.type == "integer":
            return type(value) is int and 0 <= value <= self.most
        if type(value) is not str:
            return False
        if self.type == "enum":
            return value in self.values
        if self.type == "version":
            return _VERSION.fullmatch(value) is not None
        if self.type == "random_id":
            return _RANDOM.fullmatch(value) is not None
        return _DOTTED.fullmatch(value) is not None and value.startswith(self.prefixes)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A metric or a kind of error event. `kind` and `unit` are empty for an error event."""

    name: str
    description: str
    sensitivity: str
    owner: str
    expires: date
    fields: Mapping[str, Field]
    frame: Mapping[str, Field]
    kind: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured value that passed the guard."""

    declaration: Declaration
    value: int | float
    fields: Mapping[str, Scalar]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("metrics are made by Registry.metric")


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """One error event that passed the guard; `frames` from the outermost to the innermost."""

    declaration: Declaration
    fields: Mapping[str, Scalar]
    frames: tuple[Mapping[str, Scalar], ...]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("error events are made by Registry.error")


@dataclass(frozen=True, slots=True)
class Resource:
    """What goes with every metric and error event, after the guard."""

    fields: Mapping[str, Scalar]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("resources are made by Registry.about")


class Registry:
    """Everything that is declared."""

    def __init__(
        self,
        metrics: Mapping[str, Declaration],
        errors: Mapping[str, Declaration],
        resource: Mapping[str, Field],
    ) -> None:
        self.metrics: Final = metrics
        self.errors: Final = errors
        self.resource: Final = resource

    def metric(
        self, name: str, value: float, fields: Mapping[str, object], *, today: date
    ) -> Metric:
        """A metric. Raises `InputError` for whatever is not declared."""
        declaration = _declared(self.metrics, name, today)
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise InputError(f"The value of {declaration.name} must be a number from 0.")
        return Metric(declaration, value, _guarded(declaration.fields, fields), _SEAL)

    def error(
        self,
        name: str,
        fields: Mapping[str, object],
        frames: Sequence[Mapping[str, object]],
        *,
        today: date,
    ) -> ErrorEvent:
        """An error event. Raises `InputError` for whatever is not declared."""
        declaration = _declared(self.errors, name, today)
        if len(frames) > MOST_FRAMES:
            raise InputError(f"An error event has at most {MOST_FRAMES} frames.")
        return ErrorEvent(
            declaration,
            _guarded(declaration.fields, fields),
            tuple(_guarded(declaration.frame, frame) for frame in frames),
            _SEAL,
        )

    def about(self, fields: Mapping[str, object]) -> Resource:
        """The resource. Raises `InputError` for whatever is not declared."""
        return Resource(_guarded(self.resource, fields), _SEAL)


def read(content: bytes) -> Registry:
    """A registry from the bytes of its file.

    Raises:
        InputError: code `configuration`; it is not one.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(f"The registry is not TOML: {error}.") from None
    if document.get("format") != FORMAT:
        raise _wrong(f"The registry's format is not {FORMAT}.")
    resource = document.get("resource", {}).get("field", {})
    return Registry(
        _declarations(document.get("metric", []), metric=True),
        _declarations(document.get("error", []), metric=False),
        {name: _field(name, one) for name, one in resource.items()},
    )


def shipped() -> Registry:
    """The registry that comes with the package."""
    return read(resources.files("bailee.client").joinpath("registry.toml").read_bytes())


def _declarations(tables: list[dict[str, Any]], *, metric: bool) -> dict[str, Declaration]:
    found: dict[str, Declaration] = {}
    for table in tables:
        name = table.get("name")
        if not isinstance(name, str) or name in found:
            raise _wrong("A declaration has no name, or one that stands twice.")
        told = [table.get(key) for key in ("description", "sensitivity", "owner")]
        if not all(isinstance(one, str) and one for one in told):
            raise _wrong(f"{name} needs description, sensitivity and owner.")
        if table["sensitivity"] not in SENSITIVITIES or type(table.get("expires")) is not date:
            raise _wrong(f"{name} needs a known sensitivity, and a date on which it expires.")
        if metric and (table.get("kind") not in KINDS or not isinstance(table.get("unit"), str)):
            raise _wrong(f"{name} needs a kind and a unit.")
        found[name] = Declaration(
            name,
            table["description"],
            table["sensitivity"],
            table["owner"],
            table["expires"],
            {key: _field(key, one) for key, one in table.get("field", {}).items()},
            {key: _field(key, one) for key, one in table.get("frame", {}).items()},
            table.get("kind", ""),
            table.get("unit", ""),
        )
    return found


def _field(name: str, table: dict[str, Any]) -> Field:
    kind = table.get("type")
    made = Field(
        name,
        str(kind),
        str(table.get("description", "")),
        frozenset(table.get("values", ())),
        tuple(table.get("prefixes", ())),
        int(table.get("most", 0)),
    )
    needs = {
        "enum": bool(made.values),
        "dotted": bool(made.prefixes),
        "integer": made.most > 0,
        "boolean": True,
        "version": True,
        "random_id": True,
    }
    if not made.description or not needs.get(made.type, False):
        raise _wrong(f"The field {name} needs a description, and a type with what belongs to it.")
    return made


def _declared(where: Mapping[str, Declaration], name: object, today: date) -> Declaration:
    found = where.get(name) if isinstance(name, str) else None
    if found is None:
        raise InputError("This is not declared, so it can't be sent.", hint="see registry.toml")
    if today >= found.expires:
        raise InputError(
            f"The declaration of {found.name} has expired.", hint="renew it in registry.toml"
        )
    return found


def _guarded(fields: Mapping[str, Field], given: Mapping[str, object]) -> dict[str, Scalar]:
    passed: dict[str, Scalar] = {}
    for name, value in given.items():
        field = fields.get(name) if isinstance(name, str) else None
        if field is None:
            known = ", ".join(fields) or "none"
            raise InputError("A field is not declared.", hint=f"declared are: {known}")
        if not field.takes(value):
            raise InputError(
                f"The value of {field.name} is not of its declared kind.", hint=field.description
            )
        passed[name] = value  # type: ignore[assignment]
    return passed


def _wrong(message: str) -> InputError:
    return InputError(message, code="configuration", hint="mend registry.toml")
