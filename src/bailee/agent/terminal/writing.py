"""What may be written to a terminal, and when. Pure.

* Whatever a model or a file says is text: control characters, and characters that reorder what
  stands around them, are made visible. So no answer can move the cursor, hide half of a command
  that a person is asked about, or talk to the terminal (CVE-2021-42574 and its older kin).
* Markdown is shown block by block, each when it is whole: what was shown never changes again.
"""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


class Blocks:
    """Markdown as it comes, cut into blocks that are whole."""

    def __init__(self) -> None:
        self._text = ""

    @property
    def rest(self) -> str:
        """What has come and is not whole yet."""
        return self._text

    def feed(self, text: str) -> list[str]:
        """Takes more in; the blocks that are whole now."""
        self._text += text
        made = []
        while (cut := _end_of_block(self._text)) is not None:
            block, self._text = self._text[:cut], self._text[cut:]
            if block.strip():
                made.append(block)
        return made

    def end(self) -> str:
        """Nothing more will come; what is left."""
        left, self._text = self._text, ""
        return left


def _end_of_block(text: str) -> int | None:
    """Where the first block ends: after a blank line that stands in no fence, or after a fence."""
    fence: str | None = None
    at = 0
    while (end := text.find("\n", at)) != -1:
        line = text[at:end]
        found = _FENCE.match(line)
        if fence is not None:
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                return end + 1
        elif found:
            fence = found[1]
        elif not line.strip() and text[:at].strip():
            return end + 1
        at = end + 1
    return None


def wrapped_start(text: str, lines: int) -> str:
    """The last few lines of a text: what is shown of what is not whole."""
    return "\n".join(text.rstrip("\n").split("\n")[-lines:])
