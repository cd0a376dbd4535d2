"""The public page of each shipped version of the policy document, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bailee.policy import load
from bailee.policy.document import Language
from bailee.policy.loading import VERSIONS
from bailee.policy.markdown import render as written
from bailee.policy.page import page

LANGUAGES: tuple[Language, ...] = ("en", "zh")


def render(version: str, language: Language) -> str:
    """The page of a version."""
    return written(page(load(Path(version)), language))


PAGES: dict[str, Callable[[], str]] = {
    f"docs/reference/data-usage/{version}.{language}.md": partial(render, version, language)
    for version in VERSIONS
    for language in LANGUAGES
}
