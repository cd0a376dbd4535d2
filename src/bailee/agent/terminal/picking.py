"""Choosing a session to resume: this folder's first; search, preview, delete in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.agent.conversation import Conversation
from bailee.agent.ports import ResumableSession, Transcripts
from bailee.agent.terminal.screen import Screen
from bailee.client.picture import columns, cut
from bailee.errors import BaileeError
from bailee.shown import lines as visible
from bailee.words import Words

_ROWS: Final = 8
_PREVIEW: Final = 5
_MOVES: Final = {"up": -1, "down": 1, "c-p": -1, "c-n": 1, "pageup": -_ROWS, "pagedown": _ROWS}


@dataclass(slots=True)
class Picking:
    """A `screen.ScreenPage`: the sessions, what was typed, where the cursor is. It deletes from
    `store` what the person deletes, and reads previews from it.
    """

    sessions: list[ResumableSession]
    store: Transcripts
    folder: str
    now: datetime
    words: Words
    typed: str = ""
    at: int = 0
    sure: bool = False
    done: bool = False
    picked: str | None = None
    _previews: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> list[ResumableSession]:
        """The sessions that fit what was typed."""
        low = self.typed.lower()
        return [k for k in self.sessions if low in f"{k.title} {k.folder} {k.session}".lower()]

    @property
    def chosen(self) -> ResumableSession | None:
        """The one the cursor is on."""
        found = self.found
        return found[min(self.at, len(found) - 1)] if found else None

    def press(self, key: str) -> None:
        """See `screen.ScreenPage`."""
        chosen = self.chosen
        if key in ("escape", "c-c", "c-d"):
            self.done = True
        elif key == "enter":
            if chosen is not None:
                self.picked, self.done = chosen.session, True
        elif key == "c-x":
            if chosen is None:
                return
            if not self.sure:
                self.sure = True
                return
            self.store.delete(chosen.session)
            self.sessions.remove(chosen)
            self._move(0)
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key == "backspace":
            self._search(self.typed[:-1])

    def type(self, text: str) -> None:
        """See `screen.ScreenPage`: searches."""
        if text.isprintable():
            self._search(self.typed + text)

    def lines(self, width: int) -> list[tuple[str, str]]:
        """See `screen.ScreenPage`."""
        found, chosen, words = self.found, self.chosen, self.words
        made = [("bold", words("resume.question", typed=visible(self.typed)))]
        first = max(0, min(self.at - _ROWS // 2, len(found) - _ROWS))
        for kept in found[first : first + _ROWS]:
            here = kept is chosen
            made.append(("reverse" if here else "", self._row(kept, here, width)))
        if not found:
            made.append(("", words("resume.none_fits" if self.sessions else "resume.none_kept")))
        if chosen is not None:
            preview = visible(self._preview(chosen.session)).split("\n")[-_PREVIEW:]
            made += [("", ""), *(("", cut(f"  │ {line}", width)) for line in preview)]
        return [*made, ("", cut(words("resume.sure" if self.sure else "resume.keys"), width))]

    def _move(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.found) - 1))
        self.sure = False

    def _search(self, text: str) -> None:
        self.typed, self.at, self.sure = text, 0, False

    def _preview(self, session: str) -> str:
        if session not in self._previews:
            try:
                text = Conversation(self.store.load(session)).last_text
            except BaileeError as error:
                text = self.words.what(error)
            self._previews[session] = text
        return self._previews[session]

    def _row(self, kept: ResumableSession, here: bool, width: int) -> str:
        words = self.words
        where = "" if kept.folder == self.folder else words("resume.elsewhere", folder=kept.folder)
        when = until(kept.forgotten_at, self.now, words)
        title = visible(kept.title) or words("resume.untitled")
        room = max(10, width - columns(when) - 2)
        row = cut(f"{'>' if here else ' '} {title}{visible(where)}", room)
        return cut(f"{row}{' ' * (room - columns(row))}  {when}", width)


async def pick(
    screen: Screen,
    sessions: Sequence[ResumableSession],
    store: Transcripts,
    folder: Path,
    now: datetime,
) -> str | None:
    """The id of the session a person chose; None when they chose none."""
    if not sessions:
        screen.say(screen.words("resume.none_other"), "dim")
        return None
    picking = Picking(list(sessions), store, str(folder), now, screen.words)
    await screen.page(picking)
    return picking.picked


def until(moment: str | None, now: datetime, words: Words) -> str:
    """When a session is forgotten, in words. Pure."""
    if moment is None:
        return ""
    days = int((datetime.fromisoformat(moment) - now).total_seconds() // 86400)
    return words("resume.today") if days < 1 else words.count("resume.days", days)
