"""The parameters of a question to an API: each is known, or the question is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.errors import InputError

_PAGE: Final = 20
_LARGEST_PAGE: Final = 1000
_MOST_NAMED: Final = 100


class QueryParameters:
    """An address's parameters, of which these are known. Made for one request."""

    def __init__(self, given: Mapping[str, list[str]], *known: str) -> None:
        """Raises: InputError: there are others."""
        if not {*given} <= {*known}:
            raise InputError(
                "a parameter is not known here.",
                hint=f"known are: {', '.join(known)}" if known else "it takes none",
            )
        self._given = given

    def one(self, name: str) -> str | None:
        """A parameter that stands once. Raises: InputError: it stands there again."""
        values = self._given.get(name, [])
        if len(values) > 1:
            raise InputError("a parameter stands there twice.")
        return values[0] if values else None

    def several(self, name: str, among: tuple[str, ...] = ()) -> list[str]:
        """One that may be repeated. Raises: InputError: too often, or a value is none of these."""
        values = self._given.get(name, [])
        if len(values) > _MOST_NAMED or (among and not {*values} <= {*among}):
            raise InputError("a parameter has no such value.", hint=", ".join(among) or None)
        return values

    def limit(self) -> int:
        """How many are wanted at the most. Raises: InputError: it is no such number."""
        said = self.one("limit")
        if said is None:
            return _PAGE
        if not (said.isascii() and said.isdecimal() and 1 <= len(said) <= 4):
            raise InputError("limit is no number.")
        if not 1 <= int(said) <= _LARGEST_PAGE:
            raise InputError(f"limit is 1 to {_LARGEST_PAGE}.")
        return int(said)
