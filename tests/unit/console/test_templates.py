"""The console's templates say nothing themselves: words, and the marks between them, are of the
reader's language.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bailee.console

PAGES = Path(bailee.console.__file__).parent / "pages"
# A stop, colon, semicolon or parenthesis right at something that is put in. A number with its dot
# is the same in every language.
MARKS = re.compile(r"(?<!number )(?:\}\}|%\}|</code>)[.;:](?= |<|$)| \((?=\{\{|<code>)", re.M)


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.html")), ids=lambda page: page.stem)
def test_no_mark_of_one_language_stands_in_a_template(page: Path) -> None:
    """A Chinese sentence ends in a Chinese stop, and its parentheses are Chinese, too."""
    assert [] == [
        page.read_text("utf-8")[found.start() - 40 : found.end() + 10]
        for found in MARKS.finditer(page.read_text("utf-8"))
    ]
