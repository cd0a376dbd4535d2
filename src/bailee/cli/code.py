"""`bailee code`: the coding agent in the terminal, or with `-p` without one."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperCommand

from bailee.cli.errors import report, reporting
from bailee.cli.show import say, warn_in_lines, write_text
from bailee.cli.surroundings import here
from bailee.errors import InputError, StorageError

if TYPE_CHECKING:
    from bailee.agent.session import Options

_LARGEST_INPUT = 10_000_000  # bytes


class CodeCommand(TyperCommand):
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
    with reporting():
        if output_format not in ("text", "json", "stream-json"):
            raise InputError(
                f"{output_format!r} is not an output format.", hint="text, json or stream-json"
            )
        if continue_ and resume is not None:
            raise InputError(
                "--continue and --resume can't be used together.", hint="use one of them"
            )
        from bailee.agent.session import Options

        options = Options(
            folder=here(),
            model=model,
            session=resume or None,
            latest=continue_,
            allow=tuple(allowed_tools or ()),
            deny=tuple(disallowed_tools or ()),
            more_folders=tuple(add_dir or ()),
            calls=max_turns,
            max_tokens=_number(os.environ, "CLAUDE_CODE_MAX_OUTPUT_TOKENS"),
            context_tokens=_number(os.environ, "BAILEE_CONTEXT_TOKENS") or 200_000,
            sandbox=not no_sandbox,
        )
        if print_ is not None:
            if resume == "":
                raise InputError("with -p, --resume needs the session's id.")
            asked = [part for part in (print_, prompt or "") if part]
            text = "\n\n".join([*asked, *filter(None, [_standard_input(sys.stdin, bool(asked))])])
            if not text.strip():
                raise InputError("there is no prompt.", hint='bailee code -p "what to do"')
            raise typer.Exit(_headless(options, text, output_format, settings))
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError("this is not a terminal.", hint='bailee code -p "what to do"')
        with _agent_installed():
            from bailee.agent.terminal import app
            from bailee.client.machine import ClientMachine

            machine = ClientMachine.open(options.folder, option=settings)
            raise typer.Exit(app.run(options, machine, choose=resume == "", first=prompt))


def _headless(options: Options, prompt: str, form: str, settings: str | None) -> int:
    import asyncio

    if sys.stdout is None:
        raise InputError("standard output is closed.", hint="send it to a file, or to /dev/null")
    if sys.stderr is None:  # or what is meant for it would go to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    with _agent_installed():
        from bailee.agent import headless
        from bailee.agent.assembly import assembled, proposed
        from bailee.client.background import Background
        from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(options.folder, option=settings)
    background = Background(machine, "bailee-code")
    session = assembled(options, machine, background=background)
    if background.notice is not None:
        warn_in_lines(background.notice)
        background.shown()
    for server in proposed(machine):
        say(
            f"warning: the project's MCP server {server.name} is not started: nobody is there to "
            "permit it. Your own settings.json may name it (mcpServers).",
            err=True,
        )

    async def work() -> int:
        background.start()
        try:
            return await headless.run(
                session, prompt, form,  # type: ignore[arg-type]
                out=lambda line: _write(line + "\n", as_json=form != "text"),
                complain=lambda line: say(line, err=True),
            )  # fmt: skip
        finally:
            await session.close()

    try:
        return asyncio.run(work())
    finally:
        background.stop()


@contextmanager
def _agent_installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("bailee"):
            raise
        raise InputError(
            f"the agent needs {error.name}, which is not installed.",
            hint='pip install "bailee[agent]"',
        ) from None


def _write(text: str, *, as_json: bool) -> None:
    """Writes to standard output, as escapes what the locale lacks; ends the program where that
    can't be.
    """
    encoding = sys.stdout.encoding
    try:
        write_text(text.encode(encoding, "backslashreplace").decode(encoding), as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is held back would be tried again at the program's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failed = StorageError(f"standard output can't be written: {error.strerror}.")
        report(failed)
        raise typer.Exit(failed.exit_status) from None


def _standard_input(
    stream: TextIO | None, prompted: bool, patience: tuple[float, float] = (3.0, 57.0)
) -> str:
    """What comes on standard input, to its end, whatever its encoding. One that stays silent is
    told of; then, where there is a prompt without it, the work goes on. `patience`: seconds until
    each.
    """
    if stream is None or stream.isatty():
        return ""
    content, silent = b"", 0
    while True:
        wait = patience[silent] if silent < (1 + (prompted and not content)) else None
        if not select.select([stream], [], [], wait)[0]:
            silent += 1
            if silent > 1:
                say("warning: nothing came on standard input; going on without it.", err=True)
                return ""
            say("waiting for standard input; < /dev/null says that there is none.", err=True)
            continue
        try:
            piece = os.read(stream.fileno(), 1_000_000)
        except OSError as error:
            raise InputError(f"standard input can't be read: {error.strerror}.") from None
        content += piece
        if len(content) > _LARGEST_INPUT:
            raise InputError("standard input is too large.", code="request_too_large")
        if not piece:
            return content.decode("utf-8", "replace")


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name, "")
    if not value:
        return None
    if not value.isdigit() or not int(value):
        raise InputError(f"{name} is not a number above 0.", code="configuration")
    return int(value)
