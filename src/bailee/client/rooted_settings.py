"""Settings that an agent heeds only in a file that root alone could have written: Gemini CLI's for
the whole machine. For anybody but root, what `bailee run` writes is none.

Rules kept here:

* Looked at as the agent does (Gemini CLI 0.61.0): the file and every folder above it are root's,
  and nobody else may write there; so is a link on the way.
* Where ours is not heeded, it is not named either: the machine's own would not be read any more.
* Then what must hold is seen to without it (`Unheeded`): hosts are refused, and what no host tells
  has to stand in the person's own settings.

Rows: S5, D3.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from bailee.errors import InputError
from bailee.json_values import Json
from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class Unheeded:
    """What is done about an agent that heeds no settings file of ours. `hosts` are refused, and
    what ends in them; `own` is the person's own settings file below the home, in which `needed`
    must stand, as names that lead to a value; `instead`: what it would do without.
    """

    hosts: frozenset[str]
    own: str
    needed: tuple[tuple[str, ...], str] | None = None
    instead: str = ""


def is_roots_alone(path: Path) -> bool:
    """Whether root alone could have written a file that is there, or put another in its place."""
    try:
        real = Path(os.path.realpath(path, strict=True))
        found = [one.lstat() for one in {path, *path.parents, real, *real.parents}]
    except OSError:
        return False
    return all(
        one.st_uid == 0 and (stat.S_ISLNK(one.st_mode) or not one.st_mode & 0o022) for one in found
    )


def see_to(unheeded: Unheeded, home: Path, machines: Path | None) -> None:
    """What must stand in a person's own settings stands there, or in the machine's.

    Raises:
        InputError: code `configuration`; it does not.
    """
    if unheeded.needed is None:
        return
    names, value = unheeded.needed
    files = [home / unheeded.own, *([] if machines is None else [machines])]
    held = [_value(_read(file), names) for file in files]
    if next((one for one in reversed(held) if one is not None), None) == value:
        return
    for name in reversed(names):
        value = json.dumps({name: json.loads(value) if value.startswith("{") else value})
    raise InputError(
        f"This agent heeds no settings of bailee's on this machine, and {files[0]} does not say "
        f"{value}. {unheeded.instead} Nothing was started.",
        code="configuration",
        hint=f"put {value} into {files[0]}, or use --direct, where nothing is recorded",
    )


def _read(file: Path) -> Json:
    try:
        read: Json = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return read


def _value(held: Json, names: Sequence[str]) -> Json:
    for name in names:
        held = held.get(name) if isinstance(held, Mapping) else None
    return held
