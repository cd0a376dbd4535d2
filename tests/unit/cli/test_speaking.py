"""In which language a command speaks."""

from __future__ import annotations

import pytest

from bailee.cli.speaking import spoken
from bailee.policy.document import Language


@pytest.mark.parametrize(
    ("locale", "asked", "as_json", "expected"),
    [
        ("zh_CN.UTF-8", None, False, "zh"),
        ("zh_CN.UTF-8", "en", False, "en"),
        ("zh_CN.UTF-8", None, True, "en"),
        ("zh_CN.UTF-8", "zh", True, "zh"),
        ("C.UTF-8", None, False, "en"),
        ("C.UTF-8", "zh", False, "zh"),
    ],
)
def test_what_was_asked_for_then_the_locale_and_for_programs_english(
    monkeypatch: pytest.MonkeyPatch,
    locale: str,
    asked: Language | None,
    as_json: bool,
    expected: Language,
) -> None:
    """In this order, whatever the locale is."""
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", locale)

    assert expected == spoken(asked, as_json=as_json)
