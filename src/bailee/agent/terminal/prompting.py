"""Reading a person's line, with the survey's question above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from bailee.agent.terminal.completing import Completing
from bailee.agent.terminal.rating import KEYS, Rating

_STYLE: Final = Style.from_dict({"bottom-toolbar": "noreverse", "bottom-toolbar.text": ""})


async def read(
    *,
    typed: str,
    history: History,
    rating: Rating,
    status: Callable[[], str],
    commands: Mapping[str, str],
    root: Path,
) -> str | None:
    """The next line; None when the person ends. `typed` is in it to begin with; `status` is asked
    again and again; `commands` are names and what they do; `root` is where named files are.
    """
    rating.consider()
    prompt: PromptSession[str] = PromptSession(
        history=history,
        multiline=True,
        key_bindings=_bindings(rating),
        completer=Completing(commands, root),
        complete_in_thread=True,
        complete_while_typing=True,
        bottom_toolbar=status,
        refresh_interval=0.5,  # what the service keeps is known only after the prompt is there
        prompt_continuation="… ",
        style=_STYLE,
        enable_open_in_editor=True,
    )

    def belongs(buffer: Buffer) -> None:
        if buffer.text and (key := rating.typed()):
            buffer.document = Document(key + buffer.text, buffer.cursor_position + 1)

    prompt.default_buffer.on_text_changed += belongs
    try:
        return await prompt.prompt_async(lambda: f"{rating.text}> ", default=typed)
    except KeyboardInterrupt:
        return ""
    except EOFError:
        return None


def _bindings(rating: Rating) -> KeyBindings:
    bindings = KeyBindings()
    empty = Condition(lambda: not get_app().current_buffer.text)

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    def hold(event: KeyPressEvent) -> None:
        rating.hold(event.key_sequence[0].key, event.app.invalidate)
        event.app.invalidate()

    for key in KEYS:
        bindings.add(key, filter=Condition(lambda: rating.counts) & empty)(hold)

    @bindings.add("backspace", filter=Condition(lambda: rating.held) & empty)
    def _undo(event: KeyPressEvent) -> None:
        rating.take_back()
        event.app.invalidate()

    return bindings
