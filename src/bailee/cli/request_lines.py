"""What `bailee requests` says of a request, in the language that is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bailee.cli.answers import Fields
from bailee.cli.show import moment, print_json, say
from bailee.cli.speaking import spoken
from bailee.policy.document import Language
from bailee.words import Words, words

COLUMNS: Final = ("what", "count", "from", "to", "until", "clause", "decides", "held")
SHORT: Final = 10  # of a moment, its day


def spoken_words(lang: Language | None) -> Words:
    """What a person reads, in the language that was asked for, else the locale's."""
    return words(spoken(lang), "terminal")


def heads(columns: Sequence[str], t: Words) -> list[str]:
    """The heads of columns."""
    return [t(f"asked.of_{name}") for name in columns]


def state(found: Fields, t: Words) -> str:
    """How a request stands."""
    return t("request.overdue") if found["overdue"] else t(f"request.state_{found['state']}")


def say_state(found: Fields, as_json: bool, lang: Language | None) -> None:
    """Say how a request stands now, or give it to a program."""
    if as_json:
        print_json(found)
        return
    t = spoken_words(lang)
    of = {"request": found["request"], "kind": t(f"request.kind_{found['kind']}")}
    of["state"] = state(found, t)
    if found["answered"]:
        say(t("asked.answered", day=str(found["answered"])[:SHORT], **of))
        if found["kept_until"]:
            kept = str(found["kept_until"])[:SHORT]
            say(t("asked.stays", day=kept, clause=found["clause"]))
    else:
        say(t("asked.due", day=str(found["due"])[:SHORT], **of))
    if found["receipt"]:
        say(t("asked.receipt", receipt=found["receipt"]))


def say_on_hold(found: Fields, t: Words) -> None:
    """Say which parts are under a legal hold."""
    for one in found.parts("on_hold"):
        say(t("asked.on_hold", what=one["what"], subject=one["subject"]))


def row(one: Fields, t: Words) -> tuple[str, ...]:
    """One sort of what is held, by `COLUMNS`."""
    what = t(f"held.{one['what']}")
    if one["problem"]:
        return (what, "?", "", "", "", "", "", str(one["problem"]))
    if str(one["whose"]).startswith("org_"):
        what += f" ({one['whose']})"
    days = (str(one[name] or "")[:SHORT] for name in ("oldest", "newest", "until"))
    held = str(one["held"]) if one["held"] else ""
    decides = t(f"held.decides_{one['decides']}")
    return (what, str(one["count"]), *days, str(one["clause"]), decides, held)


def document(found: Fields, rows: list[tuple[str, ...]], t: Words) -> str:
    """The inventory as Markdown."""
    lines = [
        f"# {t('asked.title', request=found['request'])}",
        "",
        t("asked.as_of", at=moment(found["at"])),
        "",
        "| " + " | ".join(heads(COLUMNS, t)) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    held = [f"- {one['what']} `{one['subject']}`" for one in found.parts("on_hold")]
    lines += ["", t("asked.holds"), "", *held] if held else []
    return "\n".join(lines) + "\n"
