"""`bailee policy diff`, `history`, `try`, `activate`, `held`: what versions of the document change,
for whom, which held, and letting another hold.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.policy_tables import plain, unheaded
from bailee.cli.reach import JsonOption, PlaceOption, ask_one, ask_several
from bailee.cli.show import console, print_json, say
from bailee.cli.speaking import LanguageOption, spoken
from bailee.errors import InputError
from bailee.json_values import Json, objects, text
from bailee.policy import as_json as shapes
from bailee.policy import load
from bailee.policy.wording import outcome_in_words

_WHICH: Final = 'A document, a shipped version, or "shipped".'


def diff(
    old: Annotated[str, typer.Argument(metavar="A", help=_WHICH)],
    new: Annotated[str, typer.Argument(metavar="B", help=_WHICH)],
    lang: LanguageOption = None,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say what document B changes against A, and for whom. With --home or --server also for how
    many sessions and accounts there.
    """
    from bailee.policy.diff import change_in_words, compare, who_in_words
    from bailee.policy.loading import content

    with reporting():
        language = spoken(lang)
        first, second = (load(_named(name)).document for name in (old, new))
        found = compare(first, second)
        counted = None
        if home is not None:
            texts = [content(_named(name)).decode() for name in (old, new)]
            counted = ask_one(home, "policy.try", {"against": texts[0], "document": texts[1]})
        if as_json:
            told = shapes.difference_as_json(first, second, found)
            print_json(told if counted is None else {**told, "concerns": counted})
            return
        out = console()
        if found.empty:
            say("No difference." if first.sha256 == second.sha256 else "Nothing changes.")
            return
        if counted is not None:
            _concerns(counted)
            say("")
        if found.changes:
            rows = [
                (
                    one.action,
                    "{} → {}".format(*change_in_words(one, language)),
                    who_in_words(one, second, language),
                    f"{one.combinations:,}",
                )
                for one in found.changes
            ]
            out.print(plain(("action", "changes", "for", "combinations"), rows))
        else:
            say("No decision changes.")
        lines = [f"{name}: {before} → {after}" for name, before, after in found.settings]
        lines += [f"new value: {one}" for one in found.added]
        lines += [f"value gone: {one}" for one in found.removed]
        lines += [f"new clause: {one}" for one in found.clauses_added]
        lines += [f"clause gone: {one}" for one in found.clauses_removed]
        lines += [f"reworded: {one}" for one in found.clauses_reworded]
        lines += [
            f"same result, other clause: {was} → {now} ({count:,} combinations of {action})"
            for action, was, now, count in found.moved
        ]
        if lines:
            out.print("\n" + "\n".join(lines))


def _named(name: str) -> Path | None:
    return None if name == "shipped" else Path(name)


def history(lang: LanguageOption = None, as_json: JsonOption = False) -> None:
    """List the shipped versions of the document, and what each changed."""
    from bailee.policy.diff import change_in_words, compare, who_in_words
    from bailee.policy.loading import SHIPPED, VERSIONS

    with reporting():
        language = spoken(lang)
        documents = [load(Path(version)).document for version in VERSIONS]
        changed = [compare(*two).changes for two in pairwise((documents[0], *documents))]
        if as_json:
            print_json(
                [
                    {
                        "version": one.version,
                        "document": one.sha256,
                        "holds": one.file == SHIPPED,
                        "changes": len(changes),
                    }
                    for one, changes in zip(documents, changed, strict=True)
                ]
            )
            return
        out = console()
        for one, changes in zip(documents, changed, strict=True):
            holds = ", which holds" if one.file == SHIPPED else ""
            out.print(f"{one.version}{holds}  sha256 {one.sha256}")
            rows = [
                (
                    "  {} → {}".format(*change_in_words(each, language)),
                    who_in_words(each, one, language),
                )
                for each in changes
                if each.action != "send"
            ]
            if rows:
                out.print(unheaded(rows))
            if sends := sum(each.action == "send" for each in changes):
                say(f"  what may be sent from a machine changes in {sends} groups of cases")
        say("")
        say("bailee policy diff A B tells two of them apart; policy page writes the page of one.")


def try_document(
    document: Annotated[
        Path, typer.Argument(metavar="DOC", help="A document, or a shipped version.")
    ],
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Say how many sessions and people of a home a document would concern. Nothing is changed."""
    from bailee.policy.loading import content

    with reporting():
        load(document)  # what is wrong with it is said with its place, before anybody is asked
        found = ask_one(home, "policy.try", {"document": content(document).decode()})
        if as_json:
            print_json(found)
            return
        _concerns(found)


def activate(
    document: Annotated[
        Path, typer.Argument(metavar="DOC", help="A document, or a shipped version.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to.")] = False,
    as_json: JsonOption = False,
    home: PlaceOption = None,
) -> None:
    """Let a document hold from now on, in a home or a server that runs; those whose terms change
    are told. What is there already stays no longer by it; what is kept less long, goes sooner.
    """
    from bailee.policy.loading import content

    with reporting():
        load(document)
        whole = content(document).decode()
        tried = ask_one(home, "policy.try", {"document": whole})
        if not as_json:
            _concerns(tried, over="Nothing was changed yet.")
        if not yes and not typer.confirm("Let it hold from now on?", err=True):
            raise InputError("nothing was changed.", hint="answer y, or give --yes")
        asked = {"document": whole, "reason": reason, "against": tried.text("before_document")}
        made = ask_one(home, "policy.activate", asked)
        if as_json:
            print_json(made)
            return
        say(
            f"{made.text('version')} holds since {made.text('at')} (entry {made.number('number')} "
            f"of the audit record). {made.number('told'):,} accounts whose terms change are told."
        )


def held(as_json: JsonOption = False, home: PlaceOption = None) -> None:
    """List which documents held in a home, from when, and why; the last one holds."""
    with reporting():
        found = ask_several(home, "policy.activations")
        if as_json:
            print_json([dict(one) for one in found])
            return
        columns = ("since", "version", "document", "by", "told", "reason")
        rows = [
            (
                one.text("at"),
                one.text("version"),
                one.text("document")[:12],
                one.text("by"),
                f"{one.number('told'):,}",
                text(one["reason"]),
            )
            for one in found
        ]
        console().print(plain(columns, rows, right=("told",)))


def _concerns(found: Fields, over: str = "Nothing was changed.") -> None:
    """Whom each change concerns, and of how many in all; and which settings a document closes."""
    rows = [
        (
            one.text("action"),
            f"{_in_words(one.text('before'))} → {_in_words(one.text('after'))}",
            one.text("clause_after") or one.text("clause_before"),
            f"{one.number('sessions'):,}",
            f"{one.number('accounts'):,}",
        )
        for one in found.parts("concerns")
    ]
    if rows:
        columns = ("action", "changes", "by clause", "sessions", "accounts")
        console().print(plain(columns, rows, right=("sessions", "accounts")))
    _settings(found)
    say(
        f"{found.text('before')} → {found.text('after')}: of {found.number('sessions'):,} sessions "
        f"of {found.number('accounts'):,} accounts, {found.number('changed_sessions'):,} of "
        f"{found.number('changed_accounts'):,} are decided otherwise. {over}"
    )


def _settings(found: Fields) -> None:
    """How the document that holds, and the other one, stand to the settings. A server of an
    earlier version does not say it.
    """
    rows = [
        (text(one.get("setting")), _standing(one.get("before")), _standing(one.get("after")))
        for one in objects(found.get("settings"))
    ]
    if rows:
        console().print(plain(("setting", "now", "then"), rows))


def _standing(by: Json) -> str:
    return "holds" if by is None else f"closed by {text(by)}"


def _in_words(outcome: str) -> str:
    if outcome == "undecided":
        return "undecided"
    kept = outcome.startswith("P")
    return outcome_in_words("keep" if kept else outcome, outcome if kept else None, "en")
