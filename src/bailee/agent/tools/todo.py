"""TodoWrite: the plan of the work, for the model to hold on to and the person to see."""

from __future__ import annotations

from typing import Final

from bailee.agent.ports import Intent, ToolOutcome
from bailee.agent.tools.arguments import Arguments, field, schema
from bailee.errors import InputError
from bailee.json_values import members, text

_STATES: Final = {"pending": "☐", "in_progress": "▶", "completed": "☒"}


class TodoWrite:
    """Replaces the list of things to do."""

    name = "TodoWrite"
    description = (
        "Keeps the list of steps of a task that has more than two. Give the whole list each time; "
        "one step is in progress, and a step is completed when it is done and checked."
    )
    input_schema = schema(
        {
            "todos": {
                "type": "array",
                "items": schema(
                    {
                        "content": field("string", "The step."),
                        "status": field("string", "Where it stands.", enum=list(_STATES)),
                    }
                ),
            }
        }
    )

    def intent(self, arguments: Arguments) -> Intent:
        """It changes nothing but the list."""
        _listed(arguments)
        return Intent(self.name, "", "Plan", harmless=True)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """The list as it stands."""
        return ToolOutcome("Noted.", shown=_listed(arguments))


def _listed(arguments: Arguments) -> str:
    lines = []
    for item in map(members, arguments.items("todos")):
        status = text(item.get("status"))
        if status not in _STATES or not isinstance(item.get("content"), str):
            raise InputError("TodoWrite: each step needs content and a status.")
        lines.append(f"{_STATES[status]} {item['content']}")
    return "\n".join(lines)
