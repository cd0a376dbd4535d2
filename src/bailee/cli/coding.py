"""What `bailee code` does, once it is known what was asked of it.

Apart from the command itself (`code`), so that what is plain is done without the library that reads
command lines: that takes as long to import as half of the agent.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from bailee.cli.errors import report, reporting
from bailee.cli.show import say, warn_in_lines, write_text
from bailee.cli.surroundings import here
from bailee.errors import InputError, StorageError
from bailee.records import dataclass

if TYPE_CHECKING:
    from bailee.agent.session import Options

_LARGEST_INPUT = 10_000_000  # bytes


@dataclass(slots=True)
class CodeCommandLine:
    """What stands on the command line of `bailee code`, by the names of the command's own
    parameters; its help says what each is.
    """

    prompt: str | None = None
    print_: str | None = None
    output_format: str = "text"
    continue_: bool = False
    resume: str | None = None
    model: str | None = None
    max_turns: int | None = None
    allowed_tools: list[str] = field(default_factory=list)
    disallowed_tools: list[str] = field(default_factory=list)
    add_dir: list[Path] = field(default_factory=list)
    settings: str | None = None
    no_sandbox: bool = False


_FLAGS: Final = {"--continue": "continue_", "-c": "continue_", "--no-sandbox": "no_sandbox"}
_TEXTS: Final = {
    "--print": "print_",
    "-p": "print_",
    "--output-format": "output_format",
    "--resume": "resume",
    "-r": "resume",
    "--model": "model",
    "--settings": "settings",
}
_LISTS: Final = {
    "--allowed-tools": "allowed_tools",
    "--allowedTools": "allowed_tools",
    "--disallowed-tools": "disallowed_tools",
    "--disallowedTools": "disallowed_tools",
}


def plain(arguments: Sequence[str]) -> CodeCommandLine | None:
    """What is asked by a command line that has only whole names of options, each with its value in
    the word after it, and at most one word beside them. None: it is for the command itself to read,
    which takes all forms, and says what is wrong. Pure.
    """
    asked, words = CodeCommandLine(), iter(arguments)
    for word in words:
        if word in _FLAGS:
            setattr(asked, _FLAGS[word], True)
        elif not word.startswith("-"):
            if asked.prompt is not None:
                return None
            asked.prompt = word
        elif (value := next(words, "-")).startswith("-"):
            return None
        elif word in _TEXTS:
            setattr(asked, _TEXTS[word], value)
        elif word in _LISTS:
            getattr(asked, _LISTS[word]).append(value)
        else:
            return None
    return asked


def work(asked: CodeCommandLine) -> None:
    """Do it, and end the program with the status that says how it went."""
    try:
        with reporting():
            raise SystemExit(_done(asked))
    except KeyboardInterrupt:  # before the work could take it as a wish to stop
        raise SystemExit(130) from None


def _done(asked: CodeCommandLine) -> int:
    if asked.output_format not in ("text", "json", "stream-json"):
        raise InputError(
            f"{asked.output_format!r} is not an output format.", hint="text, json or stream-json"
        )
    if asked.continue_ and asked.resume is not None:
        raise InputError("--continue and --resume can't be used together.", hint="use one of them")
    from bailee.agent.session import Options

    options = Options(
        folder=here(),
        model=asked.model,
        session=asked.resume or None,
        latest=asked.continue_,
        allow=tuple(asked.allowed_tools),
        deny=tuple(asked.disallowed_tools),
        more_folders=tuple(asked.add_dir),
        calls=asked.max_turns,
        max_tokens=_number(os.environ, "CLAUDE_CODE_MAX_OUTPUT_TOKENS"),
        context_tokens=_number(os.environ, "BAILEE_CONTEXT_TOKENS") or 200_000,
        sandbox=not asked.no_sandbox,
    )
    if asked.print_ is not None:
        if asked.resume == "":
            raise InputError("with -p, --resume needs the session's id.")
        words = [part for part in (asked.print_, asked.prompt or "") if part]
        text = "\n\n".join([*words, *filter(None, [_standard_input(sys.stdin, bool(words))])])
        if not text.strip():
            raise InputError("there is no prompt.", hint='bailee code -p "what to do"')
        return _headless(options, text, asked.output_format, asked.settings)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("this is not a terminal.", hint='bailee code -p "what to do"')
    with _agent_installed():
        from bailee.agent.terminal import app
        from bailee.client.machine import ClientMachine

        machine = ClientMachine.open(options.folder, option=asked.settings)
        return app.run(options, machine, choose=asked.resume == "", first=asked.prompt)


def _headless(options: Options, prompt: str, form: str, settings: str | None) -> int:
    if sys.stdout is None:
        raise InputError("standard output is closed.", hint="send it to a file, or to /dev/null")
    if sys.stderr is None:  # or what is meant for it would go to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    with _agent_installed():
        from bailee.agent.sandbox import SandboxTrial
        from bailee.agent.workspace import Workspace

        # It takes as long as a tenth of what is imported meanwhile.
        roots = Workspace(options.folder, tuple(options.more_folders)).roots
        trial = SandboxTrial(roots) if options.sandbox and options.folder.is_dir() else None
        import asyncio

        from bailee.agent import headless
        from bailee.agent.assembly import assembled, proposed
        from bailee.client.background import Background
        from bailee.client.machine import ClientMachine

    machine = ClientMachine.open(options.folder, option=settings)
    background = Background(machine, "bailee-code")
    session = assembled(options, machine, background=background, trial=trial)
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
        raise SystemExit(failed.exit_status) from None


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
