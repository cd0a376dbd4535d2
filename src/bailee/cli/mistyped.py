"""A command line that can't be read, told as every other error: what is wrong, then a hint.

What the library that reads command lines finds wrong has a class for each kind; here each has words
in both languages, and names what was perhaps meant. The exit status is 2, as of all bad input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import typer

from bailee.cli.errors import report
from bailee.cli.show import say, warn_in_lines
from bailee.errors import InputError

if TYPE_CHECKING:
    from typer._click.core import Context, Parameter

    from bailee.words import Words

USAGE: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""The library's error for a command line that it can't read."""
_LONGEST: Final = 80  # characters of what was typed


def perform(program: typer.Typer) -> None:
    """Reads the command line and carries it out; ends as it says."""
    try:
        status = program(standalone_mode=False, prog_name="bailee")
    except typer.Abort:
        say(_said()("usage.given_up"), err=True)
        raise SystemExit(1) from None
    except USAGE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            warn_in_lines(_message(error))
        else:
            report(explained(error, _said()))
        raise SystemExit(2) from None
    if isinstance(status, int) and status:
        sys.exit(status)


def explained(error: Exception, said: Words) -> InputError:
    """The library's error, in the words of this one's."""
    context: Context | None = getattr(error, "ctx", None)
    command = "bailee" if context is None else context.command_path
    near = said("usage.help", command=command)
    kind = type(error).__name__
    if kind == "NoSuchOption":
        typed = _short(getattr(error, "option_name", ""))
        return _wrong(
            said("usage.no_option", option=typed), _near(typed, _options(context)), near, said
        )
    if kind == "MissingParameter":
        name = _called(error, context)
        form = "usage.no_argument" if _is_argument(error) else "usage.no_value"
        return InputError(said(form, name=name), hint=near)
    if kind == "BadParameter":
        return InputError(
            said("usage.bad", name=_called(error, context), why=_short(_message(error))), hint=near
        )
    if kind == "BadOptionUsage":
        option = _short(getattr(error, "option_name", ""))
        lacks = "requires" in _message(error)
        form = "usage.needs_value" if lacks else "usage.takes_none"
        return InputError(said(form, option=option), hint=near)
    group = _group(context)
    if group and "No such command" in _message(error):
        typed = _short(_message(error).split("'")[1])
        return _wrong(said("usage.no_command", name=typed), _near(typed, group), near, said)
    if "unexpected extra" in _message(error):
        rest = _short(_message(error).partition("(s) (")[2].removesuffix(")"))
        return InputError(said("usage.too_much", rest=rest), hint=near)
    return InputError(said("usage.other", why=_short(_message(error))), hint=near)


def _said() -> Words:
    from bailee.words import of_locale, words  # here: only what is wrong needs them

    return words(of_locale(os.environ), "terminal")


def _wrong(message: str, meant: str | None, near: str, said: Words) -> InputError:
    return InputError(message, hint=near if meant is None else said("usage.meant", name=meant))


def _message(error: Exception) -> str:
    return str(getattr(error, "message", ""))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _near(typed: str, known: Iterable[str]) -> str | None:
    import difflib

    found = difflib.get_close_matches(typed, list(known), n=1)
    return found[0] if found else None


def _options(context: Context | None) -> list[str]:
    parameters: list[Parameter] = [] if context is None else context.command.get_params(context)
    return [name for one in parameters for name in one.opts if name.startswith("--")]


def _group(context: Context | None) -> list[str]:
    """The commands of the group that was asked."""
    listed = None if context is None else getattr(context.command, "list_commands", None)
    return [] if listed is None else list(listed(context))


def _is_argument(error: Exception) -> bool:
    parameter: Parameter | None = getattr(error, "param", None)
    return parameter is not None and parameter.param_type_name == "argument"


def _called(error: Exception, context: Context | None) -> str:
    """What the help calls the parameter."""
    parameter: Parameter | None = getattr(error, "param", None)
    if parameter is None:
        return str(getattr(error, "param_hint", "") or "?")
    if context is not None and parameter.param_type_name == "argument":
        return parameter.make_metavar(ctx=context).strip("[]{}.")
    return parameter.opts[0]
