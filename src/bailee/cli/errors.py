"""How the command line reports an error: what happened, then a hint, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bailee.errors import BaileeError, InputError
from bailee.shown import line

_LONGEST = 20_000


@contextmanager
def reporting(extra: str = "server") -> Iterator[None]:
    """Turn a `BaileeError` into `error: …` and `hint: …` on standard error and its exit status.
    `extra` is the one to install when something is not there.
    """
    try:
        yield
    except BaileeError as error:
        report(error)
        raise SystemExit(error.exit_status) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("bailee"):
            raise
        report(
            InputError(
                f"this command needs {error.name}, which is not installed.",
                hint=f'install the {extra} part: pip install "bailee[{extra}]"',
            )
        )
        raise SystemExit(2) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(141) from None


def report(error: BaileeError) -> None:
    """Print an error the way every command does."""
    print(f"error: {line(error.message, _LONGEST)}", file=sys.stderr)
    if error.hint is not None:
        print(f"hint: {line(error.hint, _LONGEST)}", file=sys.stderr)
