"""The tools of a session, under one roof: finds the one a call names, and hands it the call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from bailee.agent.ports import Call, Definition, Intent, ToolOutcome
from bailee.agent.tools.arguments import Arguments
from bailee.errors import InputError


class Tool(Protocol):
    """One tool."""

    @property
    def name(self) -> str:
        """As the model calls it."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model."""
        ...

    @property
    def input_schema(self) -> Definition:
        """Its arguments, as a JSON schema."""
        ...

    def intent(self, arguments: Arguments) -> Intent:
        """See `ports.Tools.intent`."""
        ...

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """See `ports.Tools.run`."""
        ...


class Toolbox:
    """Implements `ports.Tools` over single tools. A call's arguments are read once: what was judged
    is what runs.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._judged: tuple[Call, Arguments] | None = None

    def add(self, tools: Iterable[Tool]) -> list[str]:
        """More tools. One whose name is taken is left out: what is there stays what it is. The
        names of those.
        """
        return [tool.name for tool in tools if self._tools.setdefault(tool.name, tool) is not tool]

    def definitions(self) -> Sequence[Definition]:
        """See `ports.Tools.definitions`."""
        return [
            {"name": t.name, "description": t.description, "input_schema": dict(t.input_schema)}
            for t in self._tools.values()
        ]

    def intent(self, call: Call) -> Intent:
        """See `ports.Tools.intent`."""
        tool, arguments = self._tool(call), Arguments(call.name, call.arguments)
        self._judged = call, arguments
        return tool.intent(arguments)

    async def run(self, call: Call) -> ToolOutcome:
        """See `ports.Tools.run`."""
        judged, arguments = self._judged or (None, None)
        if judged is not call or arguments is None:
            arguments = Arguments(call.name, call.arguments)
        return await self._tool(call).run(arguments)

    def _tool(self, call: Call) -> Tool:
        if call.name not in self._tools:
            raise InputError(
                f"there is no tool {call.name}.",
                code="not_found",
                hint=f"there are {', '.join(self._tools)}",
            )
        return self._tools[call.name]
