"""Whom to believe about a log: a trust policy (C2SP tlog-policy).

Pure.

Rules kept here:

* A checkpoint counts when one of the logs signed it whose name is its origin, and the witnesses
  that cosigned it are a quorum.
* Every name is defined once, before it is used, and is a member of one group at most: no witness
  counts twice. Nor does a key, under whatever name.
* Names are bytes: two that look alike are not the same.

A witness or log with a key of each kind has a line for each; for a witness a group of `any` over
them makes the two count as one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn

from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.ledger.tlog import checkpoints, notes
from bailee.ledger.tlog.checkpoints import Checkpoint
from bailee.ledger.tlog.notes import Key, Kind, Note
from bailee.ledger.tlog.tree import refused

MOST_BYTES: Final = 1024 * 1024
NONE: Final = "none"
_LOG_KINDS: Final = {Kind.ED25519, Kind.ML_DSA_44}
_WITNESS_KINDS: Final = {Kind.COSIGNATURE, Kind.ML_DSA_44}
_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class WitnessGroup:
    """Names of witnesses and groups, and how many of them must have cosigned."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """A policy: keys of logs, each witness's key and each group by its name, and the quorum.

    `urls`: where logs and witnesses are asked, of those whose line says so. Names are of this file
    alone; what is not UTF-8 in them is there as surrogates.
    """

    logs: tuple[Key, ...]
    witnesses: dict[str, Key]
    groups: dict[str, WitnessGroup]
    quorum: str
    urls: dict[Key, str]

    def opened(self, note: Note) -> Trusted:
        """What a checkpoint says, once it may be believed.

        Raises:
            IntegrityError: it may not.
        """
        found = note.verified([*self.logs, *self.witnesses.values()])
        checkpoint = checkpoints.read(note.text)
        if not any(log in found and log.name == checkpoint.origin for log in self.logs):
            raise refused("the checkpoint is not signed by a log that is trusted.")
        times = {name: found[key] for name, key in self.witnesses.items() if key in found}
        if not self._holds(self.quorum, times):
            raise refused("the checkpoint is not cosigned by the witnesses that must have seen it.")
        return Trusted(checkpoint, {name: at for name, at in times.items() if at is not None})

    def believes(self, note: Note) -> bool:
        """Whether it may be believed."""
        try:
            self.opened(note)
        except IntegrityError:
            return False
        return True

    def _holds(self, name: str, cosigned: Collection[str]) -> bool:
        if name == NONE or name in self.witnesses:
            return name == NONE or name in cosigned
        group = self.groups[name]
        return sum(self._holds(one, cosigned) for one in group.members) >= group.least


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint that may be believed, and when each witness saw it (seconds of POSIX)."""

    checkpoint: Checkpoint
    cosigned: dict[str, int]


def read(data: bytes) -> Trust:
    """The policy that a file holds.

    Raises:
        InputError: it is none; which line is wrong, and why.
    """
    if len(data) > MOST_BYTES or _NO_TEXT.search(data):
        _wrong("the file is over 1 MiB, or has control characters")
    reading = _Reading()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            try:
                reading.line(words)
            except BaileeError as error:
                _wrong(f"line {number}: {error.message.removesuffix('.')}")
    if reading.quorum is None:
        _wrong("it has no quorum line")
    return Trust(
        tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum, reading.urls
    )


class _Reading:
    """What was read so far. Used by `read` alone."""

    def __init__(self) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, WitnessGroup] = {}
        self.quorum: str | None = None
        self.urls: dict[Key, str] = {}
        self._members: set[str] = set()

    def line(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                self.logs.append(self._key(vkey, url, _LOG_KINDS, self.logs))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self._define(name)
                others = self.witnesses.values()
                self.witnesses[name] = self._key(vkey, url, _WITNESS_KINDS, others)
            case ["group", name, least, *members] if members:
                self._define(name)
                self._group(name, least, members)
            case ["quorum", name] if self.quorum is None:
                if name != NONE and name not in self._names():
                    _wrong("the quorum's name is not defined before it")
                self.quorum = name
            case ["quorum", _]:
                _wrong("there is a second quorum")
            case _:
                _wrong("it is no line of log, witness, group or quorum")

    def _key(
        self, vkey: str, url: list[str], kinds: Collection[Kind], others: Collection[Key]
    ) -> Key:
        key = notes.key(vkey)
        if key.kind not in kinds:
            _wrong("the key is not of a kind that signs this")
        if any(key.public == other.public for other in others):
            _wrong("the key stands there twice")
        if url:
            self.urls[key] = url[0]
        return key

    def _group(self, name: str, least: str, members: list[str]) -> None:
        among = {"any": 1, "all": len(members)}
        needed = among.get(least) or (int(least) if re.fullmatch("[1-9][0-9]{0,4}", least) else 0)
        if not 0 < needed <= len(members):
            _wrong("a group needs between one and all of its members")
        for member in members:
            if member not in self._names() - {name}:
                _wrong("a member is not defined before its group")
            if member in self._members:
                _wrong("a member stands there twice, or in two groups")
            self._members.add(member)
        self.groups[name] = WitnessGroup(needed, tuple(members))

    def _names(self) -> set[str]:
        return {*self.witnesses, *self.groups}

    def _define(self, name: str) -> None:
        if name == NONE or name in self._names():
            _wrong("the name is taken")


def _wrong(what: str) -> NoReturn:
    raise InputError(
        f"{what}.", hint="whoever trusts a log writes its policy as c2sp.org/tlog-policy says"
    )
