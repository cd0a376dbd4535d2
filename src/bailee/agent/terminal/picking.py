"""Choosing a session to resume: this folder's first; search, preview; delete, keep or export it.

Rows: O7.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from bailee.agent.conversation import Conversation
from bailee.agent.ports import ResumableSession, Transcripts
from bailee.agent.terminal.screen import Screen
from bailee.client.picture import cut, wrapped
from bailee.errors import BaileeError
from bailee.shown import columns
from bailee.shown import lines as visible
from bailee.words import Words

_ROWS: Final = 8
_PREVIEW: Final = 5
_MOVES: Final = {"up": -1, "down": 1, "c-p": -1, "c-n": 1, "pageup": -_ROWS, "pagedown": _ROWS}


class Acts(Protocol):
    """What a person does to a session beside opening it; each may raise a `BaileeError`."""

    store: Transcripts

    def kept(self) -> dict[str, datetime]:
        """Which sessions the person keeps, and until when."""
        ...

    def keep(self, session: str) -> datetime:
        """Keep one; until when."""
        ...

    def release(self, session: str) -> None:
        """Take it back."""
        ...

    def export(self, session: str) -> Path:
        """Write one into a file."""
        ...


@dataclass(slots=True)
class Picking:
    """A `screen.ScreenPage`: the sessions, what was typed, where the cursor is. It does by `acts`
    what the person presses, and reads previews from its store. `said`: what came of it.
    """

    sessions: list[ResumableSession]
    acts: Acts
    folder: str
    now: datetime
    words: Words
    typed: str = ""
    at: int = 0
    sure: bool = False
    done: bool = False
    picked: str | None = None
    said: str = ""
    kept: dict[str, datetime] = field(default_factory=dict)
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
        self.said = ""
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
            self.acts.store.delete(chosen.session)
            self.sessions.remove(chosen)
            self._move(0)
        elif key in ("c-k", "c-e"):
            if chosen is not None:
                self._act(key, chosen.session)
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
        last = self.said or words("resume.sure" if self.sure else "resume.keys")
        return [*made, *(("", line) for line in wrapped(last, width))]

    def _act(self, key: str, session: str) -> None:
        words = self.words
        self.sure = False
        try:
            if key == "c-e":
                self.said = words("resume.exported", file=visible(str(self.acts.export(session))))
            elif session in self.acts.kept():
                self.acts.release(session)
                self.said = words("resume.released")
            else:
                until = self.acts.keep(session)
                self.said = words("resume.kept_now", day=_through(until))
            self.kept = self.acts.kept()
        except BaileeError as error:
            self.said = words.of_error(error)

    def _move(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.found) - 1))
        self.sure = False

    def _search(self, text: str) -> None:
        self.typed, self.at, self.sure = text, 0, False

    def _preview(self, session: str) -> str:
        if session not in self._previews:
            try:
                text = Conversation(self.acts.store.load(session)).last_text
            except BaileeError as error:
                text = self.words.what(error)
            self._previews[session] = text
        return self._previews[session]

    def _row(self, kept: ResumableSession, here: bool, width: int) -> str:
        words = self.words
        where = "" if kept.folder == self.folder else words("resume.elsewhere", folder=kept.folder)
        when = until(kept.forgotten_at, self.now, words)
        if kept.session in self.kept:
            when = words("resume.kept", day=_through(self.kept[kept.session]))
        title = visible(kept.title) or words("resume.untitled")
        room = max(10, width - columns(when) - 2)
        row = cut(f"{'>' if here else ' '} {title}{visible(where)}", room)
        return cut(f"{row}{' ' * (room - columns(row))}  {when}", width)


async def pick(
    screen: Screen,
    sessions: Sequence[ResumableSession],
    acts: Acts,
    folder: Path,
    now: datetime,
) -> str | None:
    """The id of the session a person chose; None when they chose none."""
    if not sessions:
        screen.say(screen.words("resume.none_other"), "dim")
        return None
    picking = Picking(list(sessions), acts, str(folder), now, screen.words)
    with suppress(BaileeError):  # pressing the key says what is wrong
        picking.kept = acts.kept()
    await screen.page(picking)
    return picking.picked


def _through(until: datetime) -> str:
    """The last day on which something is kept, where the person is."""
    return str((until - timedelta(seconds=1)).astimezone().date())


def until(moment: str | None, now: datetime, words: Words) -> str:
    """When a session is forgotten, in words. Pure."""
    if moment is None:
        return ""
    days = int((datetime.fromisoformat(moment) - now).total_seconds() // 86400)
    return words("resume.today") if days < 1 else words.count("resume.days", days)
