"""A person's own word on single flows of this machine, act by act, with what each deleted.

```
flow-choices.json   [{id, flow, on, at, who, way, deleted, reports}]
```

Rules kept here:

* The last act on a flow holds. Off is a wish for privacy as a setting is one (`settings`), and on
  only takes an earlier off back: the policy alone lets a flow leave.
* An act is its own receipt: who, when, by which way, and what was deleted by it. Of a payload its
  id, moment and size stay, and nothing of what was in it.
* A note that can't be read counts as off, for every flow, until it is mended.

Rows: S6, S7.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bailee.client.setting_keys import CHOICES, FLOWS
from bailee.client.settings import SettingSource
from bailee.errors import IntegrityError, StorageError
from bailee.json_values import JsonObject, objects
from bailee.records import dataclass

MOST: Final = 500
"""So many acts are remembered, the latest."""
_LARGEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeletedPayload:
    """One payload that was deleted unsent. `size`: bytes."""

    id: str
    made: str
    size: int

    def as_json(self) -> JsonObject:
        """As it stands in the note."""
        return {"id": self.id, "made": self.made, "size": self.size}


@dataclass(frozen=True, slots=True)
class ReportTakenBack:
    """One report at the server. `receipt`: the server's; None while it is not withdrawn, with
    `why` not.
    """

    report: str
    receipt: str | None
    why: str | None = None

    def as_json(self) -> JsonObject:
        """As it stands in the note."""
        return {"report": self.report, "receipt": self.receipt, "why": self.why}


@dataclass(frozen=True, slots=True)
class FlowAct:
    """One act. `who`: the user of this machine; `way`: what they typed."""

    id: str
    flow: str
    on: bool
    at: datetime
    who: str
    way: str
    deleted: tuple[DeletedPayload, ...] = ()
    reports: tuple[ReportTakenBack, ...] = ()

    def as_json(self) -> JsonObject:
        """As it stands in the note, and as `--json` shows it."""
        return {
            "id": self.id,
            "flow": self.flow,
            "on": self.on,
            "at": self.at.isoformat(),
            "who": self.who,
            "way": self.way,
            "deleted": [one.as_json() for one in self.deleted],
            "reports": [one.as_json() for one in self.reports],
        }


class FlowChoices:
    """The note in one folder, read anew each time: other processes write it too. Whoever asks what
    may leave reads it; `flow_acts` writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.file: Final = folder / CHOICES

    def acts(self) -> Sequence[FlowAct]:
        """Every act that is remembered, oldest first.

        Raises:
            IntegrityError: the note is not one.
            StorageError: it can't be read.
        """
        try:
            with self.file.open("rb") as opened:
                content = opened.read(_LARGEST + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StorageError(f"{self.file} can't be read ({error.strerror}).") from error
        try:
            held = json.loads(content)
            if not isinstance(held, list) or len(objects(held)) != len(held):
                raise ValueError
            return tuple(map(_act, objects(held)))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise IntegrityError(
                f"{self.file} is not what was written: which flows you turned off is not known, "
                "and none leaves.",
                hint="put it back, or remove it: then none is off by your own word",
            ) from None

    def source(self) -> SettingSource | None:
        """What they say, as a source of settings; None: nothing was ever said."""
        try:
            acts = self.acts()
        except (IntegrityError, StorageError):
            return SettingSource("user", str(self.file), None, "is not what bailee wrote")
        if not acts:
            return None
        last = {act.flow: act.on for act in acts}
        return SettingSource("user", str(self.file), {"flows": last})


def _act(held: JsonObject) -> FlowAct:
    flow, on = held["flow"], held["on"]
    if flow not in FLOWS or not isinstance(on, bool):
        raise ValueError
    return FlowAct(
        str(held["id"]),
        str(flow),
        on,
        datetime.fromisoformat(str(held["at"])).astimezone(UTC),
        str(held["who"]),
        str(held["way"]),
        tuple(
            DeletedPayload(str(one["id"]), str(one["made"]), int(str(one["size"])))
            for one in objects(held["deleted"])
        ),
        tuple(
            ReportTakenBack(
                str(one["report"]),
                None if one["receipt"] is None else str(one["receipt"]),
                None if one["why"] is None else str(one["why"]),
            )
            for one in objects(held["reports"])
        ),
    )
