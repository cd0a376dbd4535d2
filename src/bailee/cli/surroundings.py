"""Where a command was started, and what it writes to: found out before anything is done."""

from __future__ import annotations

from pathlib import Path

from bailee.errors import InputError


def here() -> Path:
    """The folder that a command works in.

    Raises:
        InputError: this user has no home, or the folder is gone or can't be entered.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise _homeless() from None
    if not home.is_absolute():
        raise _homeless()
    try:
        folder = Path.cwd()
        folder.stat()
    except OSError:
        raise InputError(
            "the folder that this was started in is gone, or can't be entered.",
            code="not_found",
            hint="cd into one that is there",
        ) from None
    return folder


def _homeless() -> InputError:
    return InputError("this user has no home folder.", code="configuration", hint="set HOME")
