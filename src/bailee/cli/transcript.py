"""A transcript as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailee.blocks import blocks_of, role_of
from bailee.cli.answers import Fields
from bailee.cli.show import console, moment, say
from bailee.json_values import Json, elements
from bailee.shown import line

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 2_000
_WHY = {
    "not_understood": "it does not follow the API",
    "in_part": "its answer broke off, or says more than is understood and shown",
    "ended_the_process": "the server stopped while parsing it",
    "decoded_size": "past the bound on size when unpacked",
}


def being_filed(unfiled: Fields) -> str:
    """How much is recorded and not in the index yet, in words; "" when nothing is."""
    count = unfiled["exchanges"]
    more = "what an earlier run left" if unfiled["earlier"] else ""
    exchanges = f"{count} exchange{'' if count == 1 else 's'}" if count else ""
    return " and ".join(part for part in (exchanges, more) if part)


def print_transcript(transcript: Fields) -> None:
    """Print the messages of each conversation of a session, block by block."""
    out = console()
    say(
        f"session {transcript['id']}, exchanges: {transcript['exchanges']}, "
        f"kept until {moment(transcript['kept_until'])} by {transcript.part('retention')['clause']}"
    )
    if said := being_filed(transcript.part("unfiled")):
        say(f"Of its account, being filed and perhaps not in here yet: {said}.")
    for one in transcript.parts("as_bytes"):
        why = _WHY.get(one.text("why"), f"past the bound on {one['why']}")
        out.print(
            f"exchange {one['number']}: {why}; {one['size']} bytes are kept as they came "
            f"(bailee sessions export)"
        )
    parts = {
        "conversation": transcript["messages"],
        **{f"agent {name}": messages for name, messages in transcript.part("agents").items()},
        **{f"aside {n}": messages for n, messages in enumerate(elements(transcript["aside"]), 1)},
    }
    for title, messages in parts.items():
        out.rule(line(title), style="dim")
        for message in elements(messages):
            _print_message(out, message)


def _print_message(out: Console, message: Json) -> None:
    role = role_of(message)
    for label, text in blocks_of(message):
        out.print(line(f"{role} · {label}" if label else role), style="bold")
        out.print(text if len(text) <= _LONGEST else text[:_LONGEST] + " …")
        out.print()
