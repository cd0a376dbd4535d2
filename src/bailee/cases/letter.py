"""The answer to a request, as a letter in English or Chinese: text, or a page to print. Pure.

It says what was asked, what was held, what was done, what remains and why, by the clause's own
words, how the receipt is checked, and whom to complain to. It says nothing that is not on record:
what the officer did by hand stands in their own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final, Literal

from bailee.cases.case import Case
from bailee.cases.steps import CaseKind, CaseState
from bailee.json_values import Json, JsonObject, objects, text, whole
from bailee.policy.document import Language
from bailee.words import Words, words

LetterForm = Literal["text", "html"]

_BLANK: Final = "____________________"
_COPIES: Final = (CaseKind.ACCESS, CaseKind.PORTABILITY)
_REMAINS: Final = ("sessions_elsewhere", "consent", "audit", "receipts", "exports")
"""What an erasure leaves, of the sorts of things that were held."""
_LANGUAGE: Final[Mapping[Language, str]] = {"en": "en", "zh": "zh-Hans"}


@dataclass(frozen=True, slots=True)
class LetterFacts:
    """What a letter is written from. `held`: as the inventory found it, sort by sort; `receipt`:
    the reference of the erasure's receipt; `console`: the address under which it is shown;
    `clauses`: the policy's texts by id, in the letter's language; `on_hold`: the ids of what is
    under a legal hold; `keys_open`: for how long a backup's keys open what was
    destroyed at the most, in that language; None: nothing says so.
    """

    case: Case
    at: datetime
    held: Sequence[Json]
    receipt: str | None
    contact: str
    authority: str
    console: str
    clauses: Mapping[str, str]
    on_hold: Sequence[str]
    keys_open: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter. `to`: the email; `name`: a file's name; `draft`: the request is not answered."""

    request: str
    to: str
    language: Language
    name: str
    media_type: str
    draft: bool
    content: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A paragraph, and what is listed under it; one with a title begins a section."""

    said: str = ""
    title: str = ""
    listed: tuple[str, ...] = ()


def letter_of(facts: LetterFacts, language: Language, form: LetterForm) -> Letter:
    """The letter about a request whose particulars are there still."""
    case, t = facts.case, words(language, "console")
    assert case.particulars is not None
    parts = _parts(facts, t)
    content = _as_text(parts) if form == "text" else _as_html(parts, t)
    suffix, kind = ("txt", "text/plain") if form == "text" else ("html", "text/html")
    return Letter(
        case.id,
        case.particulars.email,
        language,
        f"{case.id}-{language}.{suffix}",
        kind,
        case.state is CaseState.OPEN,
        content,
    )


def _parts(facts: LetterFacts, t: Words) -> list[_Part]:
    case = facts.case
    assert case.particulars is not None
    head = (
        t("letter.reference", reference=case.id),
        t("letter.to", email=case.particulars.email),
        t("letter.date", day=_day(case.answered_at or facts.at)),
    )
    found = [_Part("", t("letter.title"), head), _Part(t("letter.greeting")), _asked(facts, t)]
    if case.state is CaseState.OPEN and case.extended_at is not None:
        return [*found, *_put_off(facts, t), *_end(facts, t)]
    if case.state is CaseState.OPEN:
        found.insert(0, _Part(t("letter.draft")))
    if case.answered_at is not None and case.answered_at > case.due_at:
        found.append(_Part(t("letter.late", day=_day(case.due_at))))
    if case.state is CaseState.REFUSED:
        ground = case.particulars.ground
        return [
            *found,
            _Part(t("letter.refused", ground=ground), t("letter.done")),
            *_end(facts, t),
        ]
    found += [_held(facts, t), *_done(facts, t)]
    if case.kind is CaseKind.ERASURE and case.erasure_id is not None:
        found += [_remains(facts, t), *_receipt(facts, t)]
    return [*found, *_end(facts, t)]


def _asked(facts: LetterFacts, t: Words) -> _Part:
    case = facts.case
    what = t(f"letter.kind_{case.kind}")
    return _Part(t("letter.asked", day=_day(case.received_at), what=what))


def _put_off(facts: LetterFacts, t: Words) -> list[_Part]:
    case = facts.case
    assert case.particulars is not None
    told = t("letter.put_off", day=_day(case.due_at), reason=case.particulars.later)
    return [_Part(told)]


def _held(facts: LetterFacts, t: Words) -> _Part:
    lines = [line for one in objects(facts.held) if (line := _line(one, facts, t))]
    if not any(whole(one.get("count")) for one in objects(facts.held)):
        return _Part(t("letter.nothing_held"), t("letter.held"))
    return _Part(t("letter.held_what"), t("letter.held"), tuple(lines))


def _line(one: JsonObject, facts: LetterFacts, t: Words) -> str:
    """One sort of things in a sentence; nothing of what there is none of."""
    what, count = text(one.get("what")), whole(one.get("count"))
    if one.get("problem"):
        return t("letter.problem", what=t(f"held.{what}"))
    if what == "telemetry":
        return t("letter.telemetry")
    if not count:
        return ""
    said = t("letter.count", what=t(f"held.{what}"), count=count)
    oldest, newest = text(one.get("oldest"))[:10], text(one.get("newest"))[:10]
    if oldest:
        said += t("letter.span", first=oldest, last=newest)
    said += t("letter.stop")
    if until := text(one.get("until"))[:10]:
        said += t("letter.until", day=until)
    clause = facts.clauses.get(text(one.get("clause")))
    return said + (t("letter.clause", clause=clause) if clause else "")


def _done(facts: LetterFacts, t: Words) -> list[_Part]:
    case = facts.case
    assert case.particulars is not None
    said: list[str] = []
    if case.kind in _COPIES and case.exported_at is not None:
        said.append(t("letter.copied", day=_day(case.exported_at)))
    if case.kind is CaseKind.ERASURE:
        said.append(t(_erased(facts)))
    if case.particulars.done.strip():
        said.append(case.particulars.done.strip())
    if not said:
        said.append(t("letter.nobody"))
    title = t("letter.done")
    return [_Part(one, title if number == 0 else "") for number, one in enumerate(said)]


def _erased(facts: LetterFacts) -> str:
    if facts.case.erasure_id is None:
        return "letter.nobody"
    return "letter.erased_but_held" if facts.on_hold else "letter.erased"


def _remains(facts: LetterFacts, t: Words) -> _Part:
    sorts = {text(one.get("what")) for one in objects(facts.held) if whole(one.get("count"))}
    lines = [t(f"remains.{what}") for what in _REMAINS if what in sorts]
    if "backups" in sorts:
        most = facts.keys_open
        lines.append(t("remains.backups_open") if most is None else t("remains.backups", most=most))
    if facts.on_hold:
        lines.append(t("remains.held", things=t("list.comma").join(facts.on_hold)))
    clause = facts.clauses.get(facts.case.clause or "")
    lines.append(t("remains.request") + (t("letter.clause", clause=clause) if clause else ""))
    return _Part(t("letter.remains_what"), t("letter.remains"), tuple(lines))


def _receipt(facts: LetterFacts, t: Words) -> list[_Part]:
    if facts.receipt is None:
        return []
    where = f"{facts.console.rstrip('/')}/receipts/{facts.receipt}" if facts.console else ""
    listed = (facts.receipt, *([where] if where else []))
    return [_Part(t("letter.receipt_what"), t("letter.receipt"), listed)]


def _end(facts: LetterFacts, t: Words) -> list[_Part]:
    return [
        _Part(t("letter.complain", authority=facts.authority or _BLANK), t("letter.rights")),
        _Part(t("letter.again", reference=facts.case.id)),
        _Part(t("letter.signed", contact=facts.contact or _BLANK)),
    ]


def _as_text(parts: Sequence[_Part]) -> str:
    said: list[str] = []
    for part in parts:
        said += [part.title.upper(), ""] if part.title else []
        said += [part.said, ""] if part.said else []
        said += [*(f"- {one}" for one in part.listed), ""] if part.listed else []
    return "\n".join(said).rstrip() + "\n"


def _as_html(parts: Sequence[_Part], t: Words) -> str:
    body: list[str] = []
    for number, part in enumerate(parts):
        level = 1 if number == 0 else 2
        if part.title:
            body.append(f"<h{level}>{escape(part.title)}</h{level}>")
        if part.said:
            lines = "<br>".join(escape(one) for one in part.said.splitlines())
            body.append(f"<p>{lines}</p>")
        if part.listed:
            body.append(
                "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in part.listed) + "</ul>"
            )
    return (
        f'<!doctype html>\n<html lang="{_LANGUAGE[t.language]}">\n<head><meta charset="utf-8">'
        f"<title>{escape(t('letter.title'))}</title>\n"
        "<style>body{font:12pt/1.5 serif;max-width:42em;margin:3em auto;padding:0 1em}"
        "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.6em}li{overflow-wrap:anywhere}</style>"
        "</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
