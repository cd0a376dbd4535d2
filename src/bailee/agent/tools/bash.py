"""Bash: one command at a time, in a shell of its own, in the sandbox when there is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.agent.ports import Intent, ToolOutcome
from bailee.agent.sandbox import Sandbox
from bailee.agent.tools.arguments import Arguments, field, schema
from bailee.agent.tools.process import Ran, run_program
from bailee.agent.workspace import Workspace
from bailee.errors import InputError
from bailee.words import words

if TYPE_CHECKING:
    from bailee.agent.egress import Egress

_SECONDS: Final = 120
_MOST_SECONDS: Final = 600
_OUTPUT: Final = 30_000  # bytes
_SHOWN: Final = 12  # lines
_TOLD: Final = 30  # lines of what a command did in vain
_KEEPER: Final = Path(__file__).parent.with_name("keeper.py")


class Bash:
    """Runs a command."""

    name = "Bash"
    input_schema = schema(
        {"command": field("string", "The command, for bash.")},
        {
            "timeout": field("integer", f"Seconds; else {_SECONDS}, at most {_MOST_SECONDS}."),
            "description": field("string", "What it is for, in a few words."),
        },
    )

    def __init__(
        self,
        workspace: Workspace,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        egress: Egress | None = None,
    ) -> None:
        self._workspace = workspace
        self._sandbox = sandbox
        self._egress = egress
        self._environment = environment
        told = sandbox.sentence(words("en", "terminal"))
        self.description = (
            "Runs a command in bash, in the workspace's root. Each call is a shell of its own: "
            "folders and variables don't carry over, and nothing stays running after it. Output "
            f"over {_OUTPUT} bytes is cut in the middle. {told}"
        )

    def intent(self, arguments: Arguments) -> Intent:
        """The whole command."""
        command = arguments.text("command")
        if not command.strip() or "\0" in command:
            raise InputError("the command is empty or holds a null byte.")
        title = arguments.text("description", "") or "Run a command"
        return Intent(self.name, command, title, command, "command")

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Its output and exit status."""
        command = arguments.text("command")
        seconds = arguments.number("timeout", _SECONDS, least=1, most=_MOST_SECONDS)
        if self._egress is not None:
            try:
                await self._egress.start()
            except OSError as error:
                raise InputError(
                    f"the way out of the sandbox can't be opened: {error}.",
                    hint="is TMPDIR very long?",
                ) from None
        ran, told = await self._ran(["bash", "-c", command], seconds)
        output = ran.output.rstrip()
        if ran.status is None:
            end = f"[stopped: not done after {seconds} seconds]"
        elif ran.status < 0:
            end = f"[ended by signal {-ran.status}]"
        else:
            end = f"[exit status {ran.status}]" if ran.status else ""
        if len(told) > _TOLD:
            told[_TOLD:] = [f"and {len(told) - _TOLD} more like these"]
        parts = (output, end, *(f"[{line}]" for line in told))
        content = "\n".join(part for part in parts if part) or "[no output]"
        return ToolOutcome(content, is_error=ran.status != 0, shown=_tail(content))

    async def _ran(self, command: list[str], seconds: float) -> tuple[Ran, list[str]]:
        """What came of a command, and what it did in vain."""
        environment = self._sandbox.environment(self._environment)
        environment |= {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}
        egress = None if self._egress is None else self._egress.path
        making = asyncio.ensure_future(
            asyncio.to_thread(
                self._sandbox.confine, self._workspace.roots, self._environment, egress
            )
        )
        try:
            around = await asyncio.shield(making)
        except OSError as error:
            raise InputError(f"the sandbox can't be made: {error.strerror}.") from None
        except asyncio.CancelledError:
            if (late := await making) is not None:
                await asyncio.to_thread(late.end)
            raise
        told: list[str] = []
        line = command if around is None else around.line(command)
        if sys.platform == "linux":
            line = [sys.executable, "-I", "-S", str(_KEEPER), *line]
        try:
            ran = await run_program(
                line,
                folder=self._workspace.root,
                environment=environment,
                seconds=seconds,
                most=_OUTPUT,
            )
        except OSError as error:
            raise InputError(f"bash can't be started: {error.strerror}.") from None
        finally:
            if around is not None:  # a person who stops the command doesn't stop this
                told = await asyncio.shield(asyncio.to_thread(around.end))
        return ran, told


def _tail(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= _SHOWN:
        return text
    return "\n".join([f"… {len(lines) - _SHOWN} lines above", *lines[-_SHOWN:]])
