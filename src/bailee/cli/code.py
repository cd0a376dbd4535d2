"""`bailee code`: the coding agent in the terminal, or with `-p` without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bailee.cli.coding import CodeCommandLine, work
from bailee.cli.helping import HelpedCommand


class CodeCommand(HelpedCommand):
    """Lets `--resume` and `-p` stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Gives them an empty one where the next word is an option, or there is none."""
        made: list[str] = []
        for at, word in enumerate(args):
            following = args[at + 1] if at + 1 < len(args) else None
            bare = following is None or (following.startswith("-") and following != "-")
            if word in ("--resume", "-r") and bare:
                made.append("--resume=")
            elif word in ("--print", "-p") and bare:
                made.append("--print=")
            elif word == "--":
                return super().parse_args(ctx, made + args[at:])
            else:
                made.append(word)
        return super().parse_args(ctx, made)


HOW = {"cls": CodeCommand}
"""How the command is built."""


def code(  # noqa: PLR0917 - each is an option
    prompt: Annotated[str | None, typer.Argument(help="What to do first.")] = None,
    print_: Annotated[
        str | None,
        typer.Option(
            "--print", "-p", metavar="PROMPT",
            help="Do this without a person, print the answer and end. Standard input is added.",
        ),
    ] = None,
    output_format: Annotated[
        str, typer.Option(help="With -p: text, json or stream-json.")
    ] = "text",
    continue_: Annotated[
        bool, typer.Option("--continue", "-c", help="Continue this folder's latest session.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", "-r", metavar="[ID]", help="Continue a session; without ID, choose one."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask for.")] = None,
    max_turns: Annotated[
        int | None, typer.Option(min=1, help="With -p: how many times the model may be asked.")
    ] = None,
    allowed_tools: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-tools", "--allowedTools",
            help='What may be done without asking, as in "Edit Bash(git diff:*)".',
        ),
    ] = None,
    disallowed_tools: Annotated[
        list[str] | None,
        typer.Option("--disallowed-tools", "--disallowedTools", help="What is refused."),
    ] = None,
    add_dir: Annotated[
        list[Path] | None, typer.Option(help="Another folder that belongs to the workspace.")
    ] = None,
    settings: Annotated[
        str | None, typer.Option(help="More settings: a JSON object, or a file that holds one.")
    ] = None,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run commands without a sandbox.")
    ] = False,
) -> None:  # fmt: skip
    """Work on the code in this folder, with a model.

    Exit statuses: 0 done; 2 wrong input; 3 refused by the policy; 4 the model's service failed;
    5 what is kept here does not open; 6 storage, or a full standard output; 7 a limit was reached,
    or the model declined or went in circles; 130 interrupted.
    """
    work(
        CodeCommandLine(
            prompt=prompt,
            print_=print_,
            output_format=output_format,
            continue_=continue_,
            resume=resume,
            model=model,
            max_turns=max_turns,
            allowed_tools=allowed_tools or [],
            disallowed_tools=disallowed_tools or [],
            add_dir=add_dir or [],
            settings=settings,
            no_sandbox=no_sandbox,
        )
    )
