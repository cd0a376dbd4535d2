r"""Names as text: what somebody wrote is shown, and never obeyed. Pure.

A name is whatever a person, a client or an upstream calls a thing. To a terminal some characters
are orders (move the cursor, clear the line, set the title), to an eye some are tricks (reorder what
stands around them, be there without being seen). Each of these is shown as an escape instead, such
as `\x1b` or `\u202e`.

Rules kept here:

* Showing is the wall: it holds for what is stored since before there was a rule, and for what
  clients name. `line` is for one line, `lines` for a text of several, `page` for HTML whose markup
  the template engine escapes, `html_text` for other HTML; `json_text` is for JSON on its way to a
  terminal, and stays the same JSON.
* Nothing that comes out of `line` has a line's end in it, so nobody forges the line below.
* Where a name is taken, `named` refuses what could not be shown as it is, and what is too long.
* Being too careful costs looks alone: what Persian, Hindi or an emoji is joined with is shown as an
  escape in a name. On pages it is left; in a terminal's text the joiner of emoji (U+200D) is.

Standards: Unicode 15.1, general categories Cc, Cf, Cs, Zl and Zp, and the letters that have no
shape; UTS #39 and CVE-2021-42574 say why; ECMA-48 is what terminals obey.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bailee.errors import InputError

LONGEST_NAME: Final = 200
_LONGEST_LINE: Final = 2000

_ORDERS: Final = "\x00-\x1f\x7f-\x9f"
_NON_JOINER: Final = "\u200c"
_JOINER: Final = "\u200d"
_UNSEEN: Final = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_SURROGATES: Final = "\ud800-\udfff"

# Compiled when first needed, and then kept by `re`: they take longer than a start should.
_IN_A_LINE: Final = f"[{_ORDERS}{_NON_JOINER}{_JOINER}{_UNSEEN}{_SURROGATES}]"
_IN_LINES: Final = f"[{_ORDERS}{_NON_JOINER}{_UNSEEN}{_SURROGATES}]"
_ON_A_PAGE: Final = f"[{_ORDERS}{_UNSEEN}{_SURROGATES}]"


def line(text: str, longest: int = _LONGEST_LINE) -> str:
    r"""The text as one line of at most `longest` characters, and a mark where it was cut.

    >>> line("ci\x1b[2K\nforged")
    'ci\\x1b[2K\\x0aforged'
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return cut if cut.isascii() and cut.isprintable() else re.sub(_IN_A_LINE, _escape, cut)


def lines(text: str) -> str:
    """The text with its line ends and tabs, and nothing else that is not to be seen."""
    return re.sub(_IN_LINES, _escape_but_lines, text.replace("\r\n", "\n"))


def page(text: str) -> str:
    """The text for an HTML page, its markup not escaped yet."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_ON_A_PAGE, _escape_but_lines, text.replace("\r\n", "\n"))


def html_text(text: str) -> str:
    """The text for a page that no template engine makes: as `page`, its markup escaped."""
    from html import escape  # its table of names is large, and a terminal needs none

    return escape(page(text))


def json_text(document: str) -> str:
    r"""A JSON document, its unseen characters as JSON's own escapes: the same value to a reader.
    Between its strings JSON has no such character but line ends, and those stay.

    >>> json_text('{"a":"\u202e"}')
    '{"a":"\\u202e"}'
    """
    return re.sub(_IN_A_LINE, _json_escape, document)


def is_plain(text: str) -> bool:
    """Whether `line` would show the text as it is, however long it is."""
    return re.search(_IN_A_LINE, text) is None


def named(text: str, what: str, *, longest: int = LONGEST_NAME) -> str:
    """The text, without blanks around it, as a name that is taken from outside.

    Raises:
        InputError: it is too long, or holds what could not be shown as it is. The message does not
            repeat it. An empty one is the caller's to judge.
    """
    name = text.strip()
    if len(name) > longest:
        raise InputError(f"{what} has at most {longest} characters.")
    if not is_plain(name):
        raise InputError(
            f"{what} is one line of characters that can be seen.",
            hint="leave out line ends, control characters and characters without a shape",
        )
    return name


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_but_lines(found: re.Match[str]) -> str:
    return found[0] if found[0] in "\n\t" else _escape(found)


def _json_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\n\r\t":
        return found[0]
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
