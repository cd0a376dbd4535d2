"""Whether the parts of a home belong together, and which is older than the others. Pure.

Each part carries the home's id and a mark: a number that grows at each start, at each end, and
after whatever the audit record has. It is written to the data first, then to the keyring, then to
the vault; with the data lies also `sure`, the number that all parts were seen to have. So:

* A home that was restored begins above any number that the old one had (`RESTORED`).
* The data is older when any other part's number is above its own.
* Another part is older when its number is below `sure`. One step behind is a crash in between.
* A part whose write-ahead log is damaged (`logs`) has lost what was written last: it is older. So
  is a database elsewhere that counts fewer transactions than were committed (`commits`).
* A part that isn't there, while others are, is missing. A new one is never made in its place.
* A part of another home, or without an id where others have one, does not belong.

The root has no mark: which keyring it is of, and which of the two is older, its generations say
(`keyring.fitting`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailee.errors import IntegrityError

RESTORED: Final = 1 << 32
"""By so much grows the mark with a restore: in no home there are as many acts between two."""
PARTS: Final = ("data", "keyring", "vault")
"""In the order in which a mark is written to them. Each is a folder of the home."""


class Stage(StrEnum):
    """How far a home is, in its own file."""

    MAKING = "making"  # new: parts may not be there yet
    NAMING = "naming"  # from before there were ids: parts may have none yet
    WHOLE = "whole"
    RESTORING = "restoring"  # from a backup: nobody opens it but the restore


@dataclass(frozen=True, slots=True)
class Mark:
    """What a part says of itself. `sure`: of the data alone."""

    home: str
    number: int
    sure: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it was found. Without a mark it is from before there were any, or being made.
    `torn`: its write-ahead log is damaged, so that what was written last is not in it; `lacks`: it
    is elsewhere, and lacks what was committed to it.
    """

    there: bool
    mark: Mark | None = None
    torn: bool = False
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class HomeStanding:
    """How a home stands. `home`: its id, None when it is to get one. `newest`: the highest number
    of a part; `sure`: the lowest; `older`: parts that were accepted though they are older.
    """

    home: str | None
    stage: Stage
    newest: int = 0
    sure: int = 0
    older: tuple[str, ...] = ()


def judge(
    own: tuple[str, Stage] | None,
    parts: Mapping[str, Part],
    accepted: Collection[str] = (),
    *,
    rooted: bool = False,
    restoring: bool = False,
) -> HomeStanding:
    """How a home stands, whose own file says `own`; `parts` by their names. Older parts that are
    `accepted` are taken as they are. `rooted`: there is a root key. `restoring`: who asks restores
    the home, and its parts are of several moments.

    Raises:
        IntegrityError: code `home_parts`: parts are missing, of another home, or older.
    """
    stage = None if own is None else own[1]
    if restoring is not (stage is Stage.RESTORING):
        raise IntegrityError(
            "this home is being restored, and is not whole yet.",
            code="home_parts",
            hint="finish it with the same bailee backup restore; nothing was changed",
        )
    if stage is None and not rooted and not any(part.there for part in parts.values()):
        return HomeStanding(None, Stage.MAKING)
    if stage is not Stage.MAKING:
        _check_missing([name for name, part in parts.items() if not part.there])
    marks = {name: part.mark for name, part in parts.items() if part.mark is not None}
    ids = {name: mark.home for name, mark in marks.items()}
    home = _check_same(ids if own is None else ids | {"": own[0]})
    if not marks and stage is None:
        return HomeStanding(None, Stage.NAMING)
    newest = max((mark.number for mark in marks.values()), default=0)
    lowest = min((mark.number for mark in marks.values()), default=0)
    older: list[str] = []
    if stage in (None, Stage.WHOLE):
        torn = [name for name, part in parts.items() if part.torn]
        if set(torn) - set(accepted):
            raise _refused_as_torn(torn)
        lacking = [name for name, part in parts.items() if part.lacks]
        if set(lacking) - set(accepted):
            raise _refused_as_lacking(lacking)
        older = [*dict.fromkeys((*torn, *lacking, *_older(parts, newest)))]
        if set(older) - set(accepted):
            raise _refused_as_older(older, newest, marks)
        lowest = 0 if len(marks) < len(parts) else lowest
    return HomeStanding(home, stage or Stage.WHOLE, newest, lowest, tuple(older))


def _check_missing(missing: list[str]) -> None:
    if missing:
        names = _folders(missing)
        raise IntegrityError(
            f"{names} of this home {_are(missing)} not there, and the rest of it is.",
            code="home_parts",
            hint=f"mount {names}, or put back the copy that belongs to the rest; "
            "nothing was changed, and nothing is made anew in its place",
        )


def _check_same(ids: Mapping[str, str]) -> str | None:
    """The one id, if there is any. `ids`: of the parts; under the empty name, of the home."""
    counted = Counter(ids.values()).most_common()
    if len(counted) < 2:
        return counted[0][0] if counted else None
    named = [name for name, found in ids.items() if found != counted[0][0] and name]
    if counted[0][1] > counted[1][1] and not named:
        raise IntegrityError(
            "home.json is of another home than the rest, or is damaged.",
            code="home_parts",
            hint="remove it: it is made again from the rest; nothing was changed",
        )
    if counted[0][1] == counted[1][1]:
        named = [name for name in ids if name]
        message = f"{_folders(named)} are not all of the same home."
    else:
        message = f"{_folders(named)} {_are(named)} of another home than the rest."
    raise IntegrityError(
        message,
        code="home_parts",
        hint="put back the folder that belongs here, or mount the right one; nothing was changed",
    )


def _older(parts: Mapping[str, Part], newest: int) -> list[str]:
    data = parts["data"].mark
    data_is_newest = data is not None and data.number == newest
    floor = data.sure if data is not None and data_is_newest else newest - 1
    return [
        name
        for name, part in parts.items()
        if part.mark is None or (not data_is_newest if name == "data" else part.mark.number < floor)
    ]


def _refused_as_torn(torn: list[str]) -> IntegrityError:
    return IntegrityError(
        f"the write-ahead log of {_folders(torn)} is damaged: what was written last is lost with "
        "it, and may be a choice, a hold or a deletion.",
        code="home_parts",
        hint=f"put back what was there last; if that is lost, read what is undone by an older part "
        f'(guide, "Backups"), then: bailee home accept-older {" ".join(torn)} --reason "..."',
    )


def _refused_as_lacking(lacking: list[str]) -> IntegrityError:
    return IntegrityError(
        f"what PostgreSQL has of {_folders(lacking)} lacks what was committed last, which may be a "
        "choice, a hold or a deletion.",
        code="home_parts",
        hint="put back the server of PostgreSQL that has it; if that is lost, read what is undone "
        f'(guide, "On PostgreSQL"), then: bailee home accept-older {" ".join(lacking)} '
        '--reason "..."',
    )


def _refused_as_older(older: list[str], newest: int, marks: Mapping[str, Mark]) -> IntegrityError:
    numbers = ", ".join(str(marks[name].number) if name in marks else "none" for name in older)
    return IntegrityError(
        f"{_folders(older)} {_are(older)} older than the rest of this home "
        f"(mark {numbers}; the rest has {newest}).",
        code="home_parts",
        hint=f"put back what was there last; if that is lost, read what is undone by an older part "
        f'(guide, "Backups"), then: bailee home accept-older {" ".join(older)} --reason "..."',
    )


def _folders(names: list[str]) -> str:
    return " and ".join(f"{name}/" for name in names)


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
