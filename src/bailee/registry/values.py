"""The kinds of value a declared field can have, each closed or bounded. Pure.

* `enum`: one of a list; `other = true` puts the word "other" in place of what is not in it.
* `pattern`: text of at most 64 characters that an expression matches whole; `other` likewise.
* `version`: up to three numbers with dots (four would be an address), and a pre-release word.
* `number`, `integer`: between `min` and `max`. `boolean`: true or false, or those words.
* `installation`: an identifier that stands for an installation; the server keeps a keyed digest.

There is no kind for free text, and there shall be none: pattern lists miss code.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final

Value = str | int | float | bool
OTHER: Final = "other"
LONGEST: Final = 64
_VERSION = re.compile(
    r"v?\d{1,5}(\.\d{1,6}){0,2}([-.+]?(a|b|rc|alpha|beta|dev|pre|post|nightly)[-.]?\d{0,6})?"
)
_INSTALLATION = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRUTH = {"true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True, slots=True)
class ValueKind:
    """What a field's values may be. `check` gives the value to keep, or None."""

    type: str
    values: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    least: float = -math.inf
    most: float = math.inf
    other: bool = False
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in ("number", "integer")

    def check(self, value: object) -> Value | None:
        """The value to keep, which may be the word "other", or None: refused."""
        match self.type:
            case "enum":
                return self._enum(value)
            case "pattern":
                assert self.pattern is not None
                if isinstance(value, str) and len(value) <= LONGEST and value.isascii():
                    if self.pattern.fullmatch(value):
                        return value
                    return OTHER if self.other else None
                return OTHER if self.other and isinstance(value, str) else None
            case "version":
                fits = isinstance(value, str) and len(value) <= 40 and value.isascii()
                return value if fits and _VERSION.fullmatch(str(value)) else None  # type: ignore[return-value]
            case "boolean":
                if isinstance(value, str):
                    return _TRUTH.get(value)
                return value if isinstance(value, bool) else None
            case "installation":
                fits = isinstance(value, str) and len(value) <= 36 and value.isascii()
                return value if fits and _INSTALLATION.fullmatch(str(value)) else None  # type: ignore[return-value]
            case _:
                return self._number(value)

    def _enum(self, value: object) -> Value | None:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int) and -1000 < value < 10_000:
            value = str(value)
        if not isinstance(value, str):
            return None
        if value in self.values:
            return value
        if value in self.aliases:
            return self.aliases[value]
        return OTHER if self.other else None

    def _number(self, value: object) -> Value | None:
        if isinstance(value, str):
            value = _as_number(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            whole = float(value)
        except OverflowError:
            return None
        if not self.least <= whole <= self.most:  # NaN is neither
            return None
        if self.type == "integer":
            return int(value) if whole == int(whole) else None
        return whole


def _as_number(text: str) -> object:
    """Clients send numbers as text; nothing but ASCII digits and one point counts."""
    if len(text) > 24 or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text, re.ASCII):
        return None
    return float(text) if "." in text else int(text)
