"""A transcript as a person reads it in a terminal: the main conversation, and what branched off
from it where it did, as a line each or opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bailee.blocks import Spoken, as_json, marks_of
from bailee.cli.answers import Fields
from bailee.cli.show import console, moment, say
from bailee.errors import InputError
from bailee.json_values import Json, elements, whole
from bailee.shown import line
from bailee.unfolding import UNANSWERED, Begins, Ends, unfolded

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 2_000
_WHY = {
    "not_understood": "it does not follow the API",
    "in_part": "its answer broke off, or says more than is understood and shown",
    "key_twice": "an object in it has a key twice, of which the last is shown",
    "ended_the_process": "the server stopped while parsing it",
    "decoded_size": "past the bound on size when unpacked",
}
_KINDS = {
    "taken_back": "taken back, or asked aside",
    "repeat": "the same request again",
    "rewritten": "as it was before the client sent it otherwise",
    "failed": "not answered",
    "aside": "aside",
    "title": "a title",
    "agent": "agent",
    "parallel": "at the same time",
    "other": "a request without messages",
}


@dataclass(frozen=True, slots=True)
class _Branch:
    """A branch as the answer has it. See `operations.transcript.ShownBranch`."""

    number: int
    of: int | None
    at: int
    kind: str
    name: str
    exchanges: list[Json]
    messages: list[Json]
    error: Json
    ended: str

    @classmethod
    def read(cls, one: Fields) -> _Branch:
        """It, from an answer."""
        return cls(
            one.number("number"),
            None if one["of"] is None else one.number("of"),
            one.number("at"),
            one.text("kind"),
            one.text("name"),
            elements(one["exchanges"]),
            elements(one["messages"]),
            one["error"],
            f"{one['outcome']}, status {one['status']}",
        )

    @property
    def title(self) -> str:
        """What it is, in a line."""
        kind = _KINDS.get(self.kind, self.kind)
        where = "" if self.of is None else f", of branch {self.of} after its message {self.at}"
        of = ", ".join(map(str, self.exchanges)) or "none"
        count = len(self.messages)
        size = f"{count} message{'' if count == 1 else 's'}" if count else self.ended
        return line(f"branch {self.number}: {kind} {self.name}".rstrip()) + (
            f"{where}; {size} (exchanges: {of})"
        )


def being_filed(unfiled: Fields) -> str:
    """How much is recorded and not in the index yet, in words; "" when nothing is."""
    count = unfiled["exchanges"]
    more = "what an earlier run left" if unfiled["earlier"] else ""
    exchanges = f"{count} exchange{'' if count == 1 else 's'}" if count else ""
    return " and ".join(part for part in (exchanges, more) if part)


def why_as_bytes(one: Fields) -> str:
    """Why an exchange, or a part of it, is kept as the bytes that came."""
    return _WHY.get(one.text("why"), f"past the bound on {one['why']}")


def print_transcript(transcript: Fields, *, whole_of_it: bool = False) -> None:
    """Print a session's main conversation, block by block, and a line for each branch where it
    leaves it. `whole_of_it`: branches too, texts of any length, and what else each exchange says.
    """
    _print_head(transcript)
    out = console()
    out.rule("conversation", style="dim")
    branches = [_Branch.read(one) for one in transcript.parts("branches")]
    begins = [whole(one) for one in elements(transcript["begins"])]
    messages = elements(transcript["messages"])
    _print(out, messages, branches, begins, opened=whole_of_it)
    if whole_of_it:
        out.rule("exchanges", style="dim")
        for one in transcript.parts("exchange_list"):
            say(f"exchange {one['number']}: {moment(one['started'])}, {one['outcome']}")
            out.print(as_json(one))
        return
    if branches:
        say(f"One branch: bailee sessions show {transcript['id']} --branch N; all: --all.")
    if any(marks_of(one) for one in messages):
        say("What links and marks its blocks (ids, signatures, cache marks): --all.")


def print_branch(transcript: Fields, number: int) -> None:
    """Print a branch alone, and a line for each that leaves it.

    Raises:
        InputError: there is none with this number.
    """
    branches = [_Branch.read(one) for one in transcript.parts("branches")]
    wanted = next((one for one in branches if one.number == number), None)
    if wanted is None:
        raise InputError(
            f"the session has no branch {number}.",
            code="not_found",
            hint="`bailee sessions show` without --branch says which there are",
        )
    out = console()
    out.rule(wanted.title, style="dim")
    inside = [replace(one, of=None) for one in branches if one.of == wanted.number]
    _print(out, wanted.messages, inside, [], opened=False)
    _print_end(out, wanted)


def ruling(session: Fields) -> str:
    """The clause by which a session stays as long as it does."""
    kept = session.part("kept") if session["kept"] is not None else None
    if kept is not None and kept["until"] == session["kept_until"]:
        return kept.text("clause")
    return session.part("retention").text("clause")


def _print_head(transcript: Fields) -> None:
    say(
        f"session {transcript['id']}, exchanges: {transcript['exchanges']}, "
        f"kept until {moment(transcript['kept_until'])} by {ruling(transcript)}"
    )
    if transcript["about"] is not None:
        about = transcript.part("about")
        for name in ("title", "client", "folder"):
            if about[name]:
                say(f"{name}: {line(about.text(name))}")
    if transcript["kept"] is not None:
        act = transcript.part("kept")
        say(f"{act['by']} keeps it until {moment(act['until'])}, since {moment(act['since'])}")
    if said := being_filed(transcript.part("unfiled")):
        say(f"Of its account, being filed and perhaps not in here yet: {said}.")
    for one in transcript.parts("as_bytes"):
        say(
            f"exchange {one['number']}: {why_as_bytes(one)}; {one['size']} bytes are kept as they "
            f"came (bailee sessions raw {transcript['id']} {one['number']})"
        )


def _print(
    out: Console,
    messages: list[Json],
    branches: list[_Branch],
    begins: list[int],
    *,
    opened: bool,
) -> None:
    depth = 0
    for one in unfolded(messages, branches, begins):
        match one:
            case Begins(branch):
                if opened or depth == 0:
                    out.rule(branch.title, style="dim", align="left")
                depth += 1
            case Ends(branch):
                depth -= 1
                if opened:
                    _print_end(out, branch)
                    out.rule(f"end of branch {branch.number}", style="dim", align="left")
            case Spoken() if opened or depth == 0:
                _print_message(out, one, None if opened else _LONGEST)
            case Spoken():
                pass
            case _:
                out.rule("another conversation", style="dim")


def _print_message(out: Console, message: Spoken, longest: int | None) -> None:
    for label, text in message.blocks:
        out.print(line(f"{message.role} · {label}" if label else message.role), style="bold")
        cut = text if longest is None else text[:longest]
        out.print(cut)
        if len(cut) < len(text):
            out.print(f"… {len(text) - len(cut)} more characters (--all)", style="dim")
        out.print()
    if message.marks and longest is None:
        out.print("ids and marks", style="dim")
        out.print(message.marks, style="dim")
        out.print()


def _print_end(out: Console, branch: _Branch) -> None:
    if branch.kind in UNANSWERED:
        out.print(line(branch.ended))
    if branch.error is not None:
        out.print(as_json(branch.error))
