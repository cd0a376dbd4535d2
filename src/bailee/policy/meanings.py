"""What the names of an organisation's document mean by another document of the operator's. Pure.

The operator's document tells models and regions apart by how their names begin, and places, teams,
clients and methods by their names. What it names not is one value: `other`, `elsewhere`. A clause
of an organisation's is written against one document, and may come to stand beside another.

Rules kept here:

* A value goes on to mean all that it meant: every value of the other document that any of it may
  have there. So a clause holds for more than was meant, never for less.
* What both documents have alike means the same.
* Where nobody knows which document an organisation's was written against, what is for the rest is
  for all.

Rows: P1, P2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bailee.policy.document import Document
from bailee.records import dataclass

REST: Final[Mapping[str, str]] = {
    "model": "other",
    "region": "elsewhere",
    "place": "other",
    "team": "other",
    "client": "other",
    "method": "other",
}
"""Facts of which a document names some values, and what it calls all others."""
_UNDECLARED: Final = "undeclared"


@dataclass(frozen=True, slots=True)
class ToldApart:
    """What a document tells apart: by fact of `REST`, each name with how what it stands for begins;
    of a fact that goes by whole names, with none.
    """

    names: Mapping[str, Mapping[str, tuple[str, ...]]]


def told_apart(document: Document) -> ToldApart:
    """What a document tells apart."""
    families = {"model": document.models, "region": document.regions}
    return ToldApart(
        {
            fact: {
                str(name): families.get(fact, {}).get(str(name), ())
                for name in document.labels.get(fact, ())
                if name not in (rest, _UNDECLARED)
            }
            for fact, rest in REST.items()
        }
    )


def means(fact: str, value: str, then: ToldApart | None, now: ToldApart) -> tuple[str, ...]:
    """The values of a document that tells apart what `now` does, which any of that may have what a
    value meant by another (`then`; None: nobody knows which). A value that is nothing's stays.
    """
    rest = REST[fact]
    named = now.names.get(fact, {})
    if then is None:
        return (value, *(named if value == rest else ()))
    before = then.names.get(fact, {})
    if [*before.items()] == [*named.items()]:  # in this order: the first that fits is the one
        return (value,)
    if value == rest:
        known = [one for begins in before.values() for one in begins]
        new = (
            name
            for name, begins in named.items()
            if (not _within(begins, known) if begins else name not in before)
        )
        return (value, *new)
    if value not in before:
        return (value,)
    meant = before[value]
    found = [name for name, begins in named.items() if name == value or _meet(begins, meant)]
    if named.get(value) != meant:
        every = [one for begins in named.values() for one in begins]
        found += [] if _within(meant, every) else [rest]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class MeantBy:
    """What two documents of the operator's tell apart: one that an organisation's was proved
    against, and another one.
    """

    then: ToldApart | None
    now: ToldApart

    def by_now(self, fact: str, value: object) -> object:
        """What a condition's value is by the other one."""
        given = value if isinstance(value, list) else [value]
        names = [one for one in given if isinstance(one, str)]
        if fact not in REST or len(names) < len(given):
            return value
        found = (now for one in names for now in means(fact, one, self.then, self.now))
        return list(dict.fromkeys(found))


def _within(begins: Sequence[str], wider: Iterable[str]) -> bool:
    """Whether all that begins so begins as one of `wider` does; of whole names it never does."""
    listed = tuple(wider)
    return bool(begins) and all(one.startswith(listed) for one in begins)


def _meet(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether anything can begin both ways."""
    return any(one.startswith(two) or two.startswith(one) for one in some for two in others)
