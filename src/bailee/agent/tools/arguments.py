"""Reading what a model wrote as arguments: right types or a message it can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from bailee.agent.workspace import Workspace, WorkspacePath
from bailee.errors import InputError
from bailee.json_values import Json

Kind = TypeVar("Kind", str, bool, list[Json])


class Arguments:
    """The arguments of one call."""

    def __init__(self, tool: str, given: Mapping[str, Json]) -> None:
        self._tool = tool
        self._given = given
        self._places: dict[str, WorkspacePath] = {}

    def place(self, workspace: Workspace, default: str | None = None) -> WorkspacePath:
        """Where `path` leads. It is found out once for a call: what was judged is what is used.

        Raises:
            InputError: as of `Workspace.place`.
        """
        path = self.text("path", default)
        if path not in self._places:
            self._places[path] = workspace.place(path)
        return self._places[path]

    @property
    def given(self) -> Mapping[str, Json]:
        """All of them, as the model wrote them."""
        return self._given

    def text(self, name: str, default: str | None = None) -> str:
        """A text.

        Raises:
            InputError: it is missing and has no default, or is no text.
        """
        return self._get(name, str, "a text", default)

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
        """A whole number, brought into its bounds."""
        value = self._given.get(name)
        if isinstance(value, str) and value.strip().lstrip("-").isdigit():
            value = int(value)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{self._tool}: {name} must be a number.")
        return max(least, min(most, int(value)))

    def flag(self, name: str) -> bool:
        """A yes or no; no when it is not given."""
        return self._get(name, bool, "true or false", False)

    def items(self, name: str) -> list[Json]:
        """A list."""
        return self._get(name, list, "a list", None)

    def _get(self, name: str, kind: type[Kind], what: str, default: Json) -> Kind:
        value = self._given.get(name)
        if value is None:
            value = default
        if value is None:
            raise InputError(f"{self._tool} needs {name}, {what}.")
        if not isinstance(value, kind):
            raise InputError(f"{self._tool}: {name} must be {what}.")
        return value


def schema(
    required: Mapping[str, object], optional: Mapping[str, object] | None = None
) -> dict[str, object]:
    """An input schema from the descriptions of its fields."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def field(kind: str, description: str, **more: object) -> dict[str, object]:
    """One field of a schema."""
    return {"type": kind, "description": description, **more}
