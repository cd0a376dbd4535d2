"""What the client may measure and report: made of declared fields, or not at all. Pure.

The declarations and the guard are `bailee.registry`'s, the same that the receiving side has. Here
is what the sending side adds to them:

Rules kept here:

* Nothing is mended or dropped in silence on the sending side, so that a wrong caller is found:
  where the guard would drop a field, take another name for it or put another value in its place,
  it is an `InputError`.
* A `Measurement`, an `ErrorEvent` and a `Resource` are made by this guard alone; what sends takes
  nothing else.
* A stack frame names a module of ours, a function of it and a line, and nothing else.
* Errors name declared things, never the value or the name that was refused.

Rows: S1, S2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import date
from typing import Final

from bailee.errors import InputError
from bailee.registry import Guard, Measure, Refusals, Registry, load

METRICS: Final = ("counter", "histogram")
ERRORS: Final = ("error",)
MOST_FRAMES: Final = 50
_MOST_LINES: Final = 100_000

Scalar = str | int | float | bool

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,59}"
_MODULE: Final = re.compile(rf"{_NAME}(\.{_NAME}){{0,7}}", re.A)
_FUNCTION: Final = re.compile(_NAME, re.A)
_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value that passed the guard."""

    declaration: Measure
    value: int | float
    fields: Mapping[str, Scalar]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("metrics are made by Declared.metric")


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """One error event that passed the guard; `frames` from the outermost to the innermost."""

    declaration: Measure
    fields: Mapping[str, Scalar]
    frames: tuple[Mapping[str, Scalar], ...]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("error events are made by Declared.error")


@dataclass(frozen=True, slots=True)
class Resource:
    """What goes with every metric and error event, after the guard."""

    fields: Mapping[str, Scalar]
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("resources are made by Declared.about")


class Declared:
    """Makes what a registry declares, and refuses everything else."""

    def __init__(self, registry: Registry | None = None) -> None:
        """`registry`: the one that comes with the package, unless another is given."""
        self.registry: Final = registry or load()
        self._guard = Guard(self.registry, date.min)

    def metric(
        self, name: str, value: float, fields: Mapping[str, object], *, today: date
    ) -> Measurement:
        """A metric. Raises `InputError` for whatever is not declared."""
        declaration = self._declared(name, METRICS, today)
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise InputError(f"The value of {declaration.name} must be a number from 0.")
        return Measurement(
            declaration, value, self._held(declaration.attributes, fields, today), _SEAL
        )

    def error(
        self,
        name: str,
        fields: Mapping[str, object],
        frames: Sequence[Mapping[str, object]],
        *,
        today: date,
    ) -> ErrorEvent:
        """An error event. Raises `InputError` for whatever is not declared."""
        declaration = self._declared(name, ERRORS, today)
        if len(frames) > MOST_FRAMES:
            raise InputError(f"An error event has at most {MOST_FRAMES} frames.")
        return ErrorEvent(
            declaration,
            self._held(declaration.attributes, fields, today),
            tuple(self._frame(frame) for frame in frames),
            _SEAL,
        )

    def about(self, fields: Mapping[str, object], *, today: date) -> Resource:
        """The resource. Raises `InputError` for whatever is not declared."""
        return Resource(self._held(self.registry.common, fields, today), _SEAL)

    def _on(self, today: date) -> Guard:
        if self._guard.today != today:
            self._guard = Guard(self.registry, today)
        return self._guard

    def _declared(self, name: object, kinds: tuple[str, ...], today: date) -> Measure:
        found = self._on(today).measure(name, kinds, Refusals())
        if found is not None:
            return found
        known = self.registry.measures.get(name) if isinstance(name, str) else None
        if known is not None and known.expires <= today:
            raise InputError(
                f"The declaration of {known.name} has expired.", hint="renew it in registry.toml"
            )
        raise InputError("This is not declared, so it can't be sent.", hint="see registry.toml")

    def _held(
        self, allowed: frozenset[str], given: Mapping[str, object], today: date
    ) -> dict[str, Scalar]:
        """The fields, if the guard passes each of them, and as it is."""
        refusals = Refusals()
        kept = self._on(today).attributes(given.items(), allowed, refusals)
        declared = ", ".join(sorted(allowed))
        for dropped in refusals.counts:
            raise InputError(
                f"A field can't be sent: {dropped.name}, {dropped.reason}.",
                hint=f"declared are: {declared}",
            )
        if kept.keys() != given.keys():
            raise InputError(
                "A field is not under its declared name.", hint=f"declared are: {declared}"
            )
        for name, value in kept.items():
            if type(given[name]) not in (str, int, float, bool) or not _same(value, given[name]):
                raise InputError(
                    f"The value of {name} is not of its declared kind.",
                    hint=self.registry.fields[name].description,
                )
        return kept

    def _frame(self, given: Mapping[str, object]) -> dict[str, Scalar]:
        passed: dict[str, Scalar] = {}
        for name, value in given.items():
            if name == "line" and type(value) is int and 0 <= value <= _MOST_LINES:
                passed["line"] = value
            elif name == "module" and type(value) is str and self._ours(value):
                passed["module"] = value
            elif name == "function" and type(value) is str and self._function(value):
                passed["function"] = value
            else:
                raise InputError(
                    "A stack frame can't be sent as it is.",
                    hint="it has a module and a function of bailee's own, and a line",
                )
        return passed

    def _ours(self, module: str) -> bool:
        ours = self.registry.errors.ours
        return _MODULE.fullmatch(module) is not None and module.partition(".")[0] in ours

    def _function(self, name: str) -> bool:
        return _FUNCTION.fullmatch(name) is not None or name in self.registry.errors.functions


def _same(kept: Scalar, given: object) -> bool:
    return type(kept) is type(given) and kept == given
