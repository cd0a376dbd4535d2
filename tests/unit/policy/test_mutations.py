"""Each clause of the shipped document, broken on purpose, is caught."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bailee.policy import Unsound
from bailee.policy.loading import content, from_bytes

SHIPPED = content().decode()
OTHER_EFFECT = {"allow": "deny", "deny": "allow", "ask": "skip", "skip": "ask", "drop": "keep"}
OTHER_PERIOD = {
    "P3Y": ("P30D", "P2Y", "P5Y"),
    "P5Y": ("P30D", "P0D"),
    "P1Y": ("P5Y", "P0D", "P30D"),
    "P13M": ("P5Y", "P0D", "P30D"),
    "P30D": ("P5Y", "P0D", "P31D"),
    "P0D": ("P30D", "P1D"),
}
ACTIONS = "choose|train|retain|send|pass|reach|resume"
CLAUSE = re.compile(
    rf"^\[\[({ACTIONS})\]\]\nid = \"(.*?)\"\n.*?(?=^\[|^#)",
    re.MULTILINE | re.DOTALL,
)


def mutants() -> Iterator[tuple[str, str]]:
    """(what was done, the document)."""
    for found in CLAUSE.finditer(SHIPPED):
        block, name = found[0], found[2]

        def put(changed: str, found: re.Match[str] = found) -> str:
            return SHIPPED[: found.start()] + changed + SHIPPED[found.end() :]

        yield f"{name} dropped", put("")
        effect = re.search(r'^then = "(\w+)"$', block, re.M)
        assert effect is not None
        if effect[1] in OTHER_EFFECT:
            flipped = block.replace(effect[0], f'then = "{OTHER_EFFECT[effect[1]]}"')
            yield f"{name} flipped", put(flipped)
        period = re.search(r'^for = "(\w+)"$', block, re.M)
        for other in OTHER_PERIOD[period[1]] if period else ():
            assert period is not None
            yield f"{name} {other}", put(block.replace(period[0], f'for = "{other}"'))
        when = re.search(r"^when = \{ (.*) \}$", block, re.M)
        assert when is not None
        conditions = re.split(r", (?=\w+ =)", when[1])
        for condition in conditions:
            rest = ", ".join(one for one in conditions if one != condition)
            yield f"{name} without {condition}", put(block.replace(when[0], f"when = {{ {rest} }}"))


MUTANTS = dict(mutants())


def sound(text: str) -> bool:
    """Whether a document is accepted."""
    try:
        from_bytes(text.encode(), "mutant.toml")
    except Unsound:
        return False
    return True


def test_every_clause_is_mutated() -> None:
    """The mutants cover all clauses that decide."""
    ids = set(re.findall(rf'^id = "((?:{ACTIONS})\..*?)"$', SHIPPED, re.M))
    assert ids == {name.split()[0] for name in MUTANTS}
    assert sound(SHIPPED)


@pytest.mark.row("P2")
@pytest.mark.parametrize("name", [one for one in MUTANTS if " without " not in one])
def test_a_broken_clause_is_caught(name: str) -> None:
    """A clause that is dropped, turned round or given another period makes the check fail."""
    assert not sound(MUTANTS[name])


@pytest.mark.row("P2")
def test_a_widened_clause_is_caught_or_changes_nothing() -> None:
    """A clause that loses a condition is refused, unless every decision stays what it was."""
    from bailee.policy.diff import compare

    shipped = from_bytes(SHIPPED.encode(), "d.toml").document
    for name, text in MUTANTS.items():
        if " without " in name and sound(text):
            mutant = from_bytes(text.encode(), "mutant.toml").document
            assert () == compare(shipped, mutant).changes, name
