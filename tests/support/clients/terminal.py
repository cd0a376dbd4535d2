"""A terminal for tests: a program behind a pseudo-terminal, and the screen a person would see."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from support.clients import processes

SECONDS = 30


class Screen:
    """`bailee`, a program of Python's, or any other (`binary`), at a terminal of `columns` by
    `rows`.
    """

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str],
        program: Path | None = None,
        binary: Path | None = None,
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self._text: str | None = None  # until something is written
        self.raw = b""
        self._keys, terminal = os.openpty()
        termios.tcsetwinsize(terminal, (rows, columns))
        env = {"TERM": "xterm-256color", **environment}
        self._process: processes.Process = (
            processes.start(*arguments, env=env, folder=folder, program=program, terminal=terminal)
            if binary is None
            else subprocess.Popen(
                [str(binary), *arguments],
                cwd=folder,
                env=env,
                text=True,
                start_new_session=True,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
            )
        )
        os.close(terminal)

    def read(self, seconds: float = 0.05) -> None:
        """Takes in what the program has written; answers where the cursor is when it asks."""
        if not select.select([self._keys], [], [], seconds)[0]:
            return
        try:
            data = os.read(self._keys, 65536)
        except OSError:  # the program has ended
            return
        self.raw += data
        self._stream.feed(data)
        self._text = None
        if b"\x1b[6n" in data:
            cursor = self._screen.cursor
            self._write(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")

    @property
    def lines(self) -> list[str]:
        """The lines on the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """All there is to see, with what has scrolled away."""
        if self._text is None:
            gone = [
                "".join(line[column].data for column in range(self._screen.columns)).rstrip()
                for line in self._screen.history.top
            ]
            self._text = "\n".join([*gone, *self.lines])
        return self._text

    def wait(self, wanted: str | Callable[[str], bool]) -> str:
        """Reads until a pattern is on the screen (or a condition holds of it); all its text."""
        fits = wanted if callable(wanted) else lambda text: bool(re.search(wanted, text))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.read()
            if fits(self.text):
                return self.text
            if self._process.poll() is not None:
                self.read()
                if fits(self.text):
                    return self.text
                break
        raise AssertionError(f"{wanted!r} did not come:\n{self.text}")

    def type(self, keys: str) -> None:
        """Presses keys, when a person would have seen what there is."""
        time.sleep(0.05)
        self._write(keys)

    def _write(self, keys: str) -> None:
        with contextlib.suppress(OSError):  # the program has ended
            os.write(self._keys, keys.encode())

    def submit(self, line: str) -> None:
        """Types a line at the prompt, or at a question, and sends it."""
        self.wait(r"(?m)^(>|Why not.*\))$")
        self.type(line)
        self.wait(lambda text: line[-20:] in text.replace("\n", ""))
        self.type("\r")

    @property
    def modes(self) -> int:
        """The terminal's local modes, such as `termios.ECHO`; the program may have ended."""
        flags: int = termios.tcgetattr(self._keys)[3]
        return flags

    def signal(self, number: int) -> None:
        """Sends a signal, and waits until the program has ended."""
        self._process.send_signal(number)
        self.wait(lambda _: self._process.poll() is not None)

    def interrupt(self) -> None:
        """What Ctrl-C does to a program of `binary` and all that it started."""
        os.killpg(self._process.pid, signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    def end(self) -> int:
        """Waits for the end; the exit status."""
        end = time.monotonic() + SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            self.read()
        self.read()
        self.close()
        return self._process.wait()

    def close(self) -> None:
        """Takes the terminal away, and ends what still runs."""
        if self._keys >= 0:
            os.close(self._keys)
            self._keys = -1
        self._process.kill()
        self._process.wait()


Opens = Callable[..., Screen]
