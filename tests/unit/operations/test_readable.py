"""The pages of an export: what a person reads of it is what every other view shows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.vault.test_branches import A, Asked, B, X, answer, shown

from bailee.operations.readable import transcript, unshown
from bailee.operations.transcript import AsBytes

THOUGHT: dict[str, Any] = {"type": "thinking", "thinking": "the bridge first", "signature": "q"}
CITED: dict[str, Any] = {"type": "text", "text": "It is safe.", "citations": [{"title": "Manual"}]}


def said(*asked: Asked) -> str:
    """Such a session as Markdown."""
    return "".join(transcript("one", shown(*asked)))


@pytest.mark.row("G3")
def test_thinking_and_what_is_beside_a_text_are_there() -> None:
    """Thinking is read as text, a text's citations are beside it, and who speaks is named."""
    page = said(Asked([A], {"role": "assistant", "content": [THOUGHT, CITED]}))
    assert "## assistant" in page
    assert "*thinking*\n\n```\nthe bridge first\n```" in page
    assert "It is safe." in page
    assert "Manual" in page


@pytest.mark.row("G3")
def test_a_fence_within_a_block_does_not_end_it() -> None:
    """A block is fenced longer than any fence in it, and a fold is not ended by what is in it."""
    page = said(
        Asked([{"role": "user", "content": [{"thinking": "```\n````"}]}], answer("</details>")),
        Asked([{"role": "user", "content": [{"thinking": "```\n````"}]}], answer("so")),
    )
    assert "`````\n" in page
    assert "<details><summary>1. repeat (exchanges: 0)</summary>" in page
    assert "```\n</details>\n```" in page


@pytest.mark.row("G3", "R6")
def test_branches_and_what_else_was_said_are_there() -> None:
    """Each in its place, folded; instructions and the like stand where they came first."""
    rules = "Be kind to the trees, and never cut one without a reason that is written down."
    page = said(
        Asked([A], answer("x"), system=rules),
        Asked([A, X, B], answer("y"), system=rules),
        Asked([A, X, B], error={"type": "error"}),
    )
    assert page.index("## user\n\nb") < page.index("1. failed (exchanges: 2)") < page.index("y\n")
    assert 1 == page.count(rules)
    assert "end_turn" in page


@pytest.mark.row("G3")
def test_what_is_kept_as_bytes_is_said() -> None:
    """The page says which exchanges are shown in part, how much is kept, and where."""
    page = "".join(unshown([AsBytes(3, "in_part", 812)]))
    assert "exchange 3: 812 bytes (in_part)" in page
    assert "" == "".join(unshown([]))
