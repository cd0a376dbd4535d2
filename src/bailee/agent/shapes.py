"""A file's bytes as a text, and back: its encoding, its byte order mark and its line ends stay.
Pure.

* UTF-8; UTF-16 where a mark says so. Other bytes that are no binary are read as they are and come
  back byte for byte: they can be edited around, with ASCII alone.
* The line ends of a text are those that most of its lines have; what is written into it gets them.
"""

from __future__ import annotations

import codecs
from typing import Final

from bailee.records import dataclass

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF_32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a text lies in a file. `known` False: its encoding is not known; what is not ASCII stands
    in the text as lone surrogates.
    """

    encoding: str = "utf-8"
    mark: bytes = b""
    ends: str = "\n"
    known: bool = True

    def fitted(self, text: str) -> str:
        """`text` with this shape's line ends."""
        if self.ends == "\n":
            return text
        return text.replace("\r\n", "\n").replace("\n", self.ends)

    def encoded(self, text: str) -> bytes:
        """The file's bytes.

        Raises:
            UnicodeEncodeError: the text holds half a character.
        """
        errors = "strict" if self.known else "surrogateescape"
        return self.mark + text.encode(self.encoding, errors)


PLAIN: Final = Shape()
"""A new file's."""


def shape_of(content: bytes) -> tuple[Shape, str] | None:
    """The shape and the text of a file; None where it is no text."""
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8")
    )
    if content.startswith(_UTF_32) or (encoding == "utf-8" and b"\0" in content[:8192]):
        return None
    body = content[len(mark) :]
    try:
        text, known = body.decode(encoding), True
    except UnicodeDecodeError:
        if encoding != "utf-8":
            return None
        text, known = body.decode(encoding, "surrogateescape"), False
    return Shape(encoding, mark, _ends(text), known), text


def _ends(text: str) -> str:
    windows = text.count("\r\n")
    unix, old = text.count("\n") - windows, text.count("\r") - windows
    if windows and windows >= unix:
        return "\r\n"
    return "\r" if old and not unix and not windows else "\n"
