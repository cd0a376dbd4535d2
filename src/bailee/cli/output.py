"""Standard output that says when it takes nothing more."""

from __future__ import annotations

import io
import os
import sys
from typing import Final

from bailee.errors import StorageError

_REPLACED: Final[list[io.TextIOWrapper]] = []


class WatchedOutput(io.TextIOWrapper):
    """Standard output, as `main` puts it in place for all commands but `code`, on their one thread.
    Where a write fails (a full disk), it raises `StorageError` with what was wrong, once; what was
    held back goes nowhere, or Python would try it again at its end. A pipe that nobody reads is a
    `BrokenPipeError` as ever.
    """

    def write(self, text: str, /) -> int:
        """See `io.TextIOWrapper.write`."""
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._given_up(error) from None

    def flush(self) -> None:
        """See `io.TextIOWrapper.flush`."""
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._given_up(error) from None

    def _given_up(self, error: OSError) -> StorageError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return StorageError(f"standard output can't be written: {error.strerror}.")


def write_escapes() -> None:
    """Have what the locale's encoding lacks written as an escape, where it would be an error."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def open_streams() -> None:
    """Have standard output watched. Where it or standard error was closed, what goes there goes
    nowhere, and into no file that happens to get its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    held = sys.stdout
    if type(held) is io.TextIOWrapper:
        held.flush()
        _REPLACED.append(held)  # else it would close the descriptor
        written = io.BufferedWriter(io.FileIO(held.fileno(), "w", closefd=False))
        sys.stdout = WatchedOutput(
            written, held.encoding, held.errors, line_buffering=held.line_buffering
        )
