"""`bailee doctor --service`: what is well with a machine that serves, and what is not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from bailee import config
from bailee.cli.reach import HomePlace, ask_one, ask_pages, ask_several
from bailee.cli.show import console, print_json, say, table
from bailee.errors import BaileeError, InputError
from bailee.home import find
from bailee.words import Words

if TYPE_CHECKING:
    from bailee.app.doctor_findings import MachineFinding

_SHOWN: Final = {"well": "✓", "doubt": "!", "wrong": "✗", "unknown": "?"}


def look(given: HomePlace | None, said: Words, *, as_json: bool) -> bool:
    """Show every finding; whether nothing is wrong.

    Raises:
        InputError: a server elsewhere is named, or the settings can't be read.
    """
    from bailee.app.doctor import MOST_NAMES, examine
    from bailee.app.doctor_findings import ExaminedHome

    if given is not None and given.address is not None:
        raise InputError(
            "doctor looks at the machine that it runs on.", hint="run it where the server runs"
        )
    home = find(None if given is None else given.folder, os.environ)
    settings = config.load(home.settings_file, os.environ, {})
    runs = home.control_socket.exists()
    issuers = _issuers(given, MOST_NAMES) if runs else []
    closed = _closed(given) if runs else None
    summed = _summed(given) if runs else None
    found = list(examine(ExaminedHome(home, settings, os.environ, issuers, closed, summed)))
    if as_json:
        print_json([_as_json(one, said) for one in found])
    else:
        rows = [
            (_SHOWN[one.health.value], said(f"doctor.check_{one.check}"), _told(one, said))
            for one in found
        ]
        made = table(["", said("doctor.check"), said("doctor.found")], rows)
        made.columns[-1].overflow = "fold"
        console().print(made)
        for one in found:
            if hint := _hint(one, said):
                say(said("doctor.to_do", check=said(f"doctor.check_{one.check}"), hint=hint))
        health = [one.health.value for one in found]
        say(said("doctor.in_all", **{name: health.count(name) for name in _SHOWN}))
    return all(one.health.value != "wrong" for one in found)


def _issuers(given: HomePlace | None, most: int) -> list[str]:
    """The addresses of organisations' providers, as a running server says them: of so many."""
    found: list[str] = []
    try:
        for one, _ in zip(ask_pages(given, "organisation.list"), range(most), strict=False):
            shown = ask_one(given, "organisation.show", {"organisation": one["organisation"]})
            if isinstance(shown.get("provider"), dict):
                found.append(shown.part("provider").text("issuer"))
    except BaileeError:  # a server that doesn't answer is a finding of its own
        pass
    return found


def _closed(given: HomePlace | None) -> list[tuple[str, str]] | None:
    """The settings that open what the policy document closes, as a running server says them."""
    try:
        return [
            (one.text("setting"), one.text("by")) for one in ask_several(given, "policy.closed")
        ]
    except BaileeError:  # as above
        return None


def _summed(given: HomePlace | None) -> bool | None:
    """Whether a running server's sums of sessions were right; it has put them right."""
    try:
        return ask_one(given, "retention.sums")["right"] is True
    except BaileeError:  # as above
        return None


def _told(one: MachineFinding, said: Words) -> str:
    if one.error is not None:
        return said.what(one.error)
    return said(f"doctor.{one.said}", **one.values)


def _hint(one: MachineFinding, said: Words) -> str:
    if one.error is not None:
        return one.error.hint or ""
    return said(f"doctor.{one.hint}", **one.values) if one.hint else ""


def _as_json(one: MachineFinding, said: Words) -> dict[str, object]:
    return {
        "check": one.check,
        "health": one.health.value,
        "found": _told(one, said),
        "hint": _hint(one, said),
    }
