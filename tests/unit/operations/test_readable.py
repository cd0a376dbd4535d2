"""The pages of an export: what a person reads of it is what every other view shows."""

from __future__ import annotations

from typing import Any

import pytest

from bailee.operations.readable import transcript, unshown
from bailee.operations.sessions import AsBytes

THOUGHT: dict[str, Any] = {"type": "thinking", "thinking": "the bridge first", "signature": "q"}
CITED: dict[str, Any] = {"type": "text", "text": "It is safe.", "citations": [{"title": "Manual"}]}


@pytest.mark.row("G3")
def test_thinking_and_what_is_beside_a_text_are_there() -> None:
    """Thinking is read as text, a text's citations are beside it, and who speaks is named."""
    said = "".join(transcript("one", [{"role": "assistant", "content": [THOUGHT, CITED]}]))
    assert "## assistant" in said
    assert "*thinking*\n\n```\nthe bridge first\n```" in said
    assert "It is safe." in said
    assert "Manual" in said


@pytest.mark.row("G3")
def test_a_fence_within_a_block_does_not_end_it() -> None:
    """A block is fenced longer than any fence in it."""
    said = "".join(transcript("one", [{"role": "user", "content": [{"thinking": "```\n````"}]}]))
    assert "`````\n" in said


@pytest.mark.row("G3")
def test_what_is_kept_as_bytes_is_said() -> None:
    """The page says which exchanges are shown in part, how much is kept, and where."""
    said = "".join(unshown([AsBytes(3, "in_part", 812)]))
    assert "exchange 3: 812 bytes (in_part)" in said
    assert "" == "".join(unshown([]))
