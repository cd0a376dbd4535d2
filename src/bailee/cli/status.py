"""`bailee status`: what runs, and how it stands, in one look."""

from __future__ import annotations

from typing import Final

import typer

from bailee.cli.answers import Fields
from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption, PlaceOption, ask_one
from bailee.cli.show import moment, print_json, say, size
from bailee.cli.speaking import LanguageOption, spoken
from bailee.shown import columns
from bailee.words import Words, words

_WELL: Final = ("well", "look")
_HEAD: Final = 12  # columns


def status(
    lang: LanguageOption = None, as_json: JsonOption = False, home: PlaceOption = None
) -> None:
    """What runs, since when, what waits, and how disks, keys, certificate and promises stand. Exit
    status 1: something is wrong, or no server runs.
    """
    with reporting():
        found = ask_one(home, "status")
    if as_json:
        print_json(found)
    else:
        _show(found, words(spoken(lang), "terminal"))
    if found["standing"] not in _WELL:
        raise typer.Exit(1)


def _show(found: Fields, t: Words) -> None:
    say(t(f"home_status.{found['standing']}", version=found["version"]))
    lines: list[tuple[str, str]] = []
    if isinstance(found["server"], dict):
        lines += _server(found.part("server"), t)
    backlog, keyring = found.part("backlog"), found.part("keyring")
    lines += [
        (
            "backlog",
            t(
                "home_status.waits",
                exchanges=backlog["exchanges"],
                size=size(int(backlog.number("bytes"))),
            ),
        ),
        (
            "stored",
            t(
                "home_status.kept",
                size=size(int(found.number("stored_bytes"))),
                accounts=found["stored_accounts"],
                holds=found["holds"],
            ),
        ),
        (
            "keys",
            t(
                "home_status.root",
                driver=keyring["driver"],
                generation=keyring["generation"],
                epochs=keyring["epochs"],
            ),
        ),
    ]
    if (where := found.part("objects")["where"]) is not None:
        said = "there" if found.part("objects")["answers"] else "away"
        lines.append(("objects", t(f"home_status.objects_{said}", where=where)))
    standings = found.parts("promises")
    counts = {
        name: sum(one["standing"] == name for one in standings)
        for name in ("kept", "broken", "unknown")
    }
    lines.append(("promises", t("home_status.promises", **counts)))
    for one in standings:
        if one["standing"] == "broken":
            promise, why = t(f"promise.{one['promise']}"), f"promise.why_{one['why']}"
            lines.append(
                ("", t("home_status.broken", promise=promise, why=t(why, count=one["count"])))
            )
    if found["requests_for_more"]:
        lines.append(("limits", t("home_status.more", count=found["requests_for_more"])))
    for name, said in lines:
        head = t(f"home_status.of_{name}") if name else ""
        say(f"  {head}{' ' * (_HEAD - columns(head))} {said}")


def _server(server: Fields, t: Words) -> list[tuple[str, str]]:
    connections = server.part("connections")
    listeners = t("list.comma").join(f"{name} {connections[name]}" for name in connections)
    found = [
        ("server", t("home_status.since", since=moment(server["since"]))),
        (
            "requests",
            t(
                "home_status.requests",
                count=server["requests_in_flight"],
                listeners=listeners or "-",
            ),
        ),
    ]
    if server["reasons"]:
        found.append(("not_ready", _in_words(server.texts("reasons"), t)))
    if server["alerts"]:
        found.append(("alerts", _in_words(server.texts("alerts"), t)))
    if server["certificate_ends"]:
        found.append(("certificate", t("home_status.ends", at=moment(server["certificate_ends"]))))
    found += [
        (
            "disk",
            t(
                "home_status.free",
                store=t("list.comma").join(one.texts("stores")),
                free=size(int(one.number("free"))),
                size=size(int(one.number("size"))),
            ),
        )
        for one in server.parts("disks")
    ]
    return found


def _in_words(codes: list[str], t: Words) -> str:
    """Codes with what they mean; of a server that is newer than this program, codes alone."""
    return t("home_status.between").join(
        t("home_status.code", code=one, said=t(f"watch.{one}"))
        if f"watch.{one}" in t.texts
        else one
        for one in codes
    )
