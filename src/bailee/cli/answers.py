"""What an operation answered, read by name.

A command may ask a server that runs another version, and it imports none of the operations' own
types: they come with the whole server (ADR 101). So what it reads is checked where it is read, and
`--json` prints the answer as it came.
"""

from __future__ import annotations

from typing import TypeVar

from bailee.errors import UpstreamError
from bailee.json_values import Json

Kind = TypeVar("Kind", str, int, bool, list[Json], dict[str, Json])


class Fields(dict[str, Json]):
    """An object of an answer. Commands make and read it, on their one thread; nobody changes it. A
    field that is not there, or not of the kind that was asked for, is an `UpstreamError`.
    """

    def __missing__(self, name: str) -> Json:
        raise _another(name)

    def text(self, name: str) -> str:
        """A text."""
        return self._of(name, str)

    def number(self, name: str) -> int:
        """A whole number."""
        return self._of(name, int)

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return [str(one) for one in self._of(name, list)]

    def part(self, name: str) -> Fields:
        """The object under a name."""
        return Fields(self._of(name, dict))

    def parts(self, name: str) -> list[Fields]:
        """The objects of the list under a name."""
        return fields_of(self._of(name, list))

    def _of(self, name: str, kind: type[Kind]) -> Kind:
        value = self[name]
        if not isinstance(value, kind):
            raise _another(name)
        return value


def fields_of(values: list[Json]) -> list[Fields]:
    """The objects of a list.

    Raises:
        UpstreamError: one is none.
    """
    return [fields(one) for one in values]


def fields(value: Json) -> Fields:
    """An object.

    Raises:
        UpstreamError: it is none.
    """
    if not isinstance(value, dict):
        raise _another("an object")
    return Fields(value)


def _another(name: str) -> UpstreamError:
    return UpstreamError(
        f"the answer has not what this command reads of it ({name}).",
        code="upstream_protocol",
        hint="is the server of another version? `bailee --version` says which this one is",
    )
