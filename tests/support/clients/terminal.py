"""A terminal for tests: a program behind a pseudo-terminal, and the screen a person would see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

SECONDS = 30


class Screen:
    """A program at a terminal of `columns` by `rows`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.process = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(folder),
            env={**environment, "TERM": environment.get("TERM", "xterm-256color")},
            dimensions=(rows, columns),
            timeout=SECONDS,
        )

    def read(self, seconds: float = 0.05) -> None:
        """Takes in what the program has written; answers where the cursor is when it asks."""
        try:
            data = self.process.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            return
        self.raw += data
        self._stream.feed(data)
        if b"\x1b[6n" in data:
            cursor = self._screen.cursor
            self.process.send(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")

    @property
    def lines(self) -> list[str]:
        """The lines on the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """All there is to see, with what has scrolled away."""
        gone = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*gone, *self.lines])

    def wait(self, wanted: str | Callable[[str], bool]) -> str:
        """Reads until a pattern is on the screen (or a condition holds of it); all its text."""
        fits = wanted if callable(wanted) else lambda text: bool(re.search(wanted, text))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.read()
            if fits(self.text):
                return self.text
            if not self.process.isalive():
                self.read()
                if fits(self.text):
                    return self.text
                break
        raise AssertionError(f"{wanted!r} did not come:\n{self.text}")

    def type(self, keys: str) -> None:
        """Presses keys."""
        self.process.send(keys)

    def submit(self, line: str) -> None:
        """Types a line at the prompt, or at a question, and sends it."""
        self.wait(r"(?m)^(>|Why not.*\))$")
        self.type(line)
        self.wait(lambda text: line[-20:] in text.replace("\n", ""))
        self.type("\r")

    def end(self) -> int:
        """Waits for the end; the exit status."""
        end = time.monotonic() + SECONDS
        while self.process.isalive() and time.monotonic() < end:
            self.read()
        self.read()
        self.process.close(force=True)
        return int(self.process.exitstatus if self.process.exitstatus is not None else -1)


Opens = Callable[..., Screen]
