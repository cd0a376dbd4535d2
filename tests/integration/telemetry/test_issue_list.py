"""The list of error issues, as operations give it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailee.errors import InputError
from bailee.telemetry.records import CaughtError
from bailee.telemetry.telemetry import Taken
from support.clients.asking import perform
from support.homes.places import Place
from support.homes.telemetry_bench import PERIODS


@pytest.mark.row("S2")
def test_it_comes_in_pages(tmp_path: Path) -> None:
    """Each issue once, the one that was seen last first, those of one moment too; and how many
    there are in each state.
    """
    place = Place(tmp_path)
    now = int(place.clock().timestamp() * 1000)
    rows: list[CaughtError] = [
        CaughtError(at, issue, "ValueError", "error", "python", "bailee@1.2.3", None, True, [], {})
        for issue, at in (("e3", now - 60_000), ("e2", now), ("e1", now), ("e4", now - 90_000))
    ]
    telemetry = place.node.telemetry
    telemetry.prepare(taken := Taken(figures=[], errors=rows), PERIODS)
    telemetry.keep_now(taken)
    telemetry.settle()
    telemetry.issues.set("e4", "muted", place.clock())

    def page(**values: object) -> dict[str, Any]:
        found = perform(place.node, "errors.list", values)
        assert isinstance(found, dict)
        return found

    found, after = [], None
    while True:
        given = page(limit=1, after=after)
        assert {"open": 3, "muted": 1} == given["states"]
        found += [one["id"] for one in given["items"]]
        after = given["next"]
        if after is None:
            break
    assert ["e1", "e2", "e3", "e4"] == found
    assert ["e4"] == [one["id"] for one in page(state="muted")["items"]]
    with pytest.raises(InputError):
        page(after="no place")
    place.close()
