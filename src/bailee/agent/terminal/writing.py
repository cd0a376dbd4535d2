"""What may be written to a terminal, and when. Pure.

* Whatever a model or a file says is text: control characters, and characters that reorder what
  stands around them, are made visible. So no answer can move the cursor, hide half of a command
  that a person is asked about, or talk to the terminal (CVE-2021-42574 and its older kin).
* Markdown is shown block by block, each when it is whole: what was shown never changes again.
"""

from __future__ import annotations

import re
from typing import Final

_KEPT: Final = "\n\t"
_INVISIBLE: Final = {
    *range(0x20), 0x7F, *range(0x80, 0xA0), 0xAD, 0x061C, *range(0x200B, 0x2010),
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),
}  # fmt: skip
_VISIBLE: Final = {
    code: (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
    for code in _INVISIBLE
    if chr(code) not in _KEPT
}
_ALLOWED_JOINER: Final = 0x200D  # emoji are made with it
del _VISIBLE[_ALLOWED_JOINER]
_VISIBLE.update({code: f"\\U{code:08x}" for code in range(0xE0000, 0xE0080)})
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


def visible(text: str) -> str:
    """The text without anything that a terminal, or an eye, would take for something else."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)


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
