"""Choosing a session to resume: this folder's first; search, preview, delete in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from rich.console import Console
from rich.text import Text

from bailee.agent.conversation import Conversation
from bailee.agent.ports import Kept, Transcripts
from bailee.errors import BaileeError
from bailee.shown import lines as visible

_ROWS: Final = 8
_PREVIEW: Final = 5


@dataclass(slots=True)
class Picking:
    """What is on the screen. Pure."""

    sessions: list[Kept]
    folder: str
    now: datetime
    typed: str = ""
    at: int = 0
    sure: bool = False
    previews: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> list[Kept]:
        """The sessions that fit what was typed."""
        low = self.typed.lower()
        return [k for k in self.sessions if low in f"{k.title} {k.folder} {k.session}".lower()]

    @property
    def chosen(self) -> Kept | None:
        """The one the cursor is on."""
        found = self.found
        return found[min(self.at, len(found) - 1)] if found else None

    def move(self, by: int) -> None:
        """Moves the cursor."""
        self.at = max(0, min(self.at + by, len(self.found) - 1))
        self.sure = False

    def type(self, text: str) -> None:
        """Searches for more, or with a backspace for less."""
        self.typed = self.typed[:-1] if text == "\b" else self.typed + text
        self.at, self.sure = 0, False

    def lines(self, width: int) -> list[tuple[str, str]]:
        """(style, line) of the whole picture."""
        found, chosen = self.found, self.chosen
        made = [("bold", f"Which session? {visible(self.typed)}▏")]
        first = max(0, min(self.at - _ROWS // 2, len(found) - _ROWS))
        for kept in found[first : first + _ROWS]:
            here = kept is chosen
            made.append(("reverse" if here else "", self._row(kept, here, width)))
        if not found:
            made.append(("", "  none" if self.sessions else "  none is kept on this machine"))
        if chosen is not None:
            preview = visible(self.previews.get(chosen.session, "")).split("\n")[-_PREVIEW:]
            made += [("", ""), *(("", f"  │ {line}"[:width]) for line in preview)]
        hint = "delete it? Ctrl-X again" if self.sure else "Enter opens, Ctrl-X deletes, Esc leaves"
        return [*made, ("", hint[:width])]

    def _row(self, kept: Kept, here: bool, width: int) -> str:
        where = "" if kept.folder == self.folder else f"  in {kept.folder}"
        when = until(kept.forgotten_at, self.now)
        title = visible(kept.title) or "no prompt yet"
        row = f"{'>' if here else ' '} {title}{visible(where)}"
        room = max(10, width - len(when) - 2)
        return f"{row[:room]:{room}}  {when}"[:width]


async def pick(
    console: Console,
    sessions: Sequence[Kept],
    store: Transcripts,
    folder: Path,
    now: datetime,
) -> str | None:
    """The id of the session a person chose; None when they chose none."""
    if not sessions:
        console.print(Text("No other session is kept on this machine.", style="dim"))
        return None
    picking = Picking(list(sessions), str(folder), now)
    app: Application[str | None] = Application(
        Layout(Window(FormattedTextControl(lambda: _drawn(picking, store, console.width)))),
        key_bindings=_keys(picking, store),
        erase_when_done=True,
    )
    return await app.run_async()


def _drawn(picking: Picking, store: Transcripts, width: int) -> StyleAndTextTuples:
    chosen = picking.chosen
    if chosen is not None and chosen.session not in picking.previews:
        try:
            text = Conversation(store.load(chosen.session)).last_text
        except BaileeError as error:
            text = error.message
        picking.previews[chosen.session] = text
    return [(style, f"{line}\n") for style, line in picking.lines(width)]


def _keys(picking: Picking, store: Transcripts) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _open(event: Any) -> None:
        chosen = picking.chosen
        if chosen is not None:
            event.app.exit(result=chosen.session)

    @bindings.add("escape", eager=True)
    @bindings.add("c-c")
    @bindings.add("c-d")
    def _leave(event: Any) -> None:
        event.app.exit(result=None)

    @bindings.add("c-x")
    def _delete(_: Any) -> None:
        chosen = picking.chosen
        if chosen is None:
            return
        if not picking.sure:
            picking.sure = True
            return
        store.delete(chosen.session)
        picking.sessions.remove(chosen)
        picking.move(0)

    for key, by in (
        ("up", -1),
        ("down", 1),
        ("c-p", -1),
        ("c-n", 1),
        ("pageup", -8),
        ("pagedown", 8),
    ):
        bindings.add(key)(_mover(picking, by))
    bindings.add("backspace")(lambda _: picking.type("\b"))
    bindings.add(Keys.Any)(
        lambda event: picking.type(event.data if event.data.isprintable() else "")
    )
    return bindings


def _mover(picking: Picking, by: int) -> Any:
    return lambda _: picking.move(by)


def until(moment: str | None, now: datetime) -> str:
    """When a session is forgotten, in words. Pure."""
    if moment is None:
        return ""
    days = int((datetime.fromisoformat(moment) - now).total_seconds() // 86400)
    if days < 1:
        return "forgotten within a day"
    return f"forgotten in {days} day{'s' if days > 1 else ''}"
