"""How long and how much, in words that people say, in the document's two languages. Pure.

A bound's text has its number from the bound (`told_by`): where it has `{at_most}`, there stands
what the bound has. A document that is to come to hold is refused where a text has another number
than its bound, or none (`problems`). One that came to hold before that was asked holds on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bailee.policy import period as periods
from bailee.policy.bounds import KEY_SNAPSHOTS, LIMITED, OLD_KEYS, SIZES, hours_of
from bailee.policy.document import Document, Language, SettingBound, Text
from bailee.policy.reading import DocumentProblem

_PLACE: Final = "{at_most}"
_LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_UNITS: Final = {"USD": "美元", "tokens": "个 token", "requests": "个请求"}
_A_FEW: Final = 48
"""So many are said as hours: those of a day or two."""


def period_in_words(period: str, language: Language) -> str:
    """A period as people say it: "5 years", "30 天", "not kept"."""
    span = periods.parse(period)
    if span.count == 0:
        return "not kept" if language == "en" else "不保留"
    if language == "zh":
        return f"{span.count} {({'Y': '年', 'M': '个月', 'D': '天'})[span.unit]}"
    unit = {"Y": "year", "M": "month", "D": "day"}[span.unit]
    return f"{span.count} {unit}{'' if span.count == 1 else 's'}"


def most_in_words(of: str, at_most: str, language: Language) -> str:
    """What a bound `of` something has `at_most`: "24 hours", "14 天", "4096 MiB"."""
    if of in SIZES or (of in LIMITED and language == "en"):
        return at_most
    if of in LIMITED:
        amount, _, unit = at_most.partition(" ")
        return f"{amount} {_UNITS[unit]}"
    hours = hours_of(at_most) if of in (OLD_KEYS, KEY_SNAPSHOTS) else 0
    if 0 < hours <= _A_FEW or hours % 24:
        if language == "zh":
            return f"{hours} 小时"
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return period_in_words(f"P{hours // 24}D" if hours else at_most, language)


def told_by(text: Text, of: str, at_most: str) -> Text:
    """A bound's text, with what it has `at_most` in the place of `{at_most}`."""
    en, zh = (text.of(one).replace(_PLACE, most_in_words(of, at_most, one)) for one in _LANGUAGES)
    return Text(en, zh)


def own_problems(bounds: Sequence[SettingBound], file: str) -> Iterator[DocumentProblem]:
    """The same of an organisation's bounds, which may have a text in one language alone."""
    for bound in bounds:
        if bound.at_most is None:
            continue
        most = {most_in_words(bound.of, bound.at_most, one) for one in _LANGUAGES}
        texts = {bound.clause.text.of(one) for one in _LANGUAGES}
        if not all(any(_says(text, one) for one in most) for text in texts):
            yield DocumentProblem(
                file,
                bound.clause.line,
                f"A text of {bound.clause.id} does not say how much it has at the most, and no "
                "other number.",
                f"write {_PLACE} where the number stands",
            )


def _says(text: str, most: str) -> bool:
    """Whether a text has this number, and no other."""
    before, there, after = text.partition(most)
    return bool(there) and not any(one.isnumeric() and one.isascii() for one in before + after)


def problems(document: Document) -> Iterator[DocumentProblem]:
    """Where the text of a bound says another number than the bound has, or none."""
    for bound in document.bounds:
        if bound.at_most is None:
            continue
        for language in _LANGUAGES:
            most = most_in_words(bound.of, bound.at_most, language)
            if not _says(bound.clause.text.of(language), most):
                yield DocumentProblem(
                    document.file,
                    bound.clause.line,
                    f"The {language} text of {bound.clause.id} does not say {most!r}, and no other "
                    "number.",
                    f"write {_PLACE} where the number stands",
                )
