"""The language of a row: what a person wrote, not what code says."""

from __future__ import annotations

import pytest

from bailee.training import languages


@pytest.mark.row("T7")
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Please fix the failing test in the parser, and then run all of them again."),
        ("zh", "请修复解析器中的错误，然后重新运行所有测试。"),
        ("de", "Bitte behebe den Fehler im Parser und lass danach alle Tests noch einmal laufen."),
        ("es", "Corrige por favor el error del analizador y vuelve a ejecutar todas las pruebas."),
        ("und", "fix it"),
        ("und", "for x in range(3):\n    print(x)\n/usr/bin/python -m pytest\n{}"),
        ("de", "```\nthis is only what the code says in English\n```\nWarum geht das hier nicht?"),
    ],
)
def test_the_language_is_what_the_person_wrote(language: str, said: str) -> None:
    """Fences, code and too little of anything are no language."""
    assert language == languages.of([said])
