"""What a server's document states of agents on people's machines, as the server told it. Pure.

    {"state.vendors-get-nothing": {"en": "…", "zh": "…"}}

A statement that does not stand there the document does not have. Rule kept here: where nothing was
told, or not so that it is understood, nothing is known, and the document that ships with bailee is
gone by.

Rows: P1, S5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.client.agent_bounds import one_line
from bailee.json_values import members, text
from bailee.policy.bounds import STATEMENTS
from bailee.policy.document import Language
from bailee.records import dataclass

_DIGEST: Final = 12


@dataclass(frozen=True, slots=True)
class ToldStatements:
    """Of `STATEMENTS` those that the document of the server at `place` has: by id, the texts by
    language. `document`: the beginning of its SHA-256 (hex); empty where the server did not say it.
    """

    place: str
    document: str
    texts: Mapping[str, Mapping[Language, str]]

    def text(self, statement: str, language: Language) -> str | None:
        """A statement in words; None: the document does not have it."""
        said = self.texts.get(statement)
        return None if said is None else said[language]


def told_statements(place: str, said: Mapping[str, object]) -> ToldStatements | None:
    """What a server's answer says of it; None: nothing. `place`: the server, as people are shown
    it.
    """
    found = said.get("statements")
    if not isinstance(found, dict):
        return None
    texts: dict[str, Mapping[Language, str]] = {}
    for name in STATEMENTS:
        if name in found:
            held = members(found[name])
            en, zh = one_line(text(held.get("en"))), one_line(text(held.get("zh")))
            texts[name] = {"en": en or zh or name, "zh": zh or en or name}
    return ToldStatements(place, one_line(text(said.get("document")))[:_DIGEST], texts)
