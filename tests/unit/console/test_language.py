"""Which language a visitor reads."""

from __future__ import annotations

import pytest

from bailee.console.language import accepted


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("zh-CN,zh;q=0.9", "zh"),
        ("en-GB", "en"),
        ("fr, zh-CN;q=0.8, en;q=0.5", "zh"),
        ("fr, zh;q=0.3, en;q=0.5", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=x", None),
        ("", None),
        ("*", None),
    ],
)
def test_the_browser_says_which_language(header: str, expected: str | None) -> None:
    """By weight, then by place; what we have not, or what is refused, does not count."""
    assert expected == accepted(header)
