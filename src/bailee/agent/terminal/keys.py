"""Keys while the agent works: Ctrl-C and Escape stop it, other keys wait for the next prompt."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

_ESCAPE_WAIT: Final = 0.1  # seconds after which an Escape is one, and not the start of an arrow key


class KeyListening:
    """Listens between `start` and `stop`, on the event loop's thread. `typed` is what was typed
    meanwhile.
    """

    def __init__(self) -> None:
        self._interrupt: Callable[[], None] = lambda: None
        self._input: Input | None = None
        self._stack: ExitStack | None = None
        self.typed = ""

    def start(self, interrupt: Callable[[], None]) -> None:
        """Begins to listen; `interrupt` is called for Ctrl-C and Escape."""
        self._interrupt = interrupt
        self.go_on()

    def go_on(self) -> None:
        """Listens again after `stop`; does nothing when it does already."""
        if self._stack is not None:
            return
        loop = asyncio.get_running_loop()
        self._stack = ExitStack()
        with suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
            self._stack.callback(loop.remove_signal_handler, signal.SIGINT)
        self._input = create_input()
        self._stack.enter_context(self._input.raw_mode())
        self._stack.enter_context(self._input.attach(self._ready))

    def stop(self) -> None:
        """Ends listening."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def take_typed(self) -> str:
        """What was typed, once."""
        typed, self.typed = self.typed, ""
        return typed

    def _ready(self) -> None:
        if self._input is not None:
            self._handle(self._input.read_keys())
        asyncio.get_running_loop().call_later(_ESCAPE_WAIT, self._flush)

    def _flush(self) -> None:
        if self._stack is not None and self._input is not None:
            self._handle(self._input.flush_keys())

    def _handle(self, presses: list[KeyPress]) -> None:
        for press in presses:
            if press.key in (Keys.ControlC, Keys.Escape):
                self._interrupt()
            elif press.key == Keys.BracketedPaste or (len(press.key) == 1 and press.data):
                self.typed += press.data
            elif press.key in (Keys.Backspace, Keys.ControlH):
                self.typed = self.typed[:-1]
