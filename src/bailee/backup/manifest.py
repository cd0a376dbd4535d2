"""What a backup says of itself: each file with its hash, and how far the log had come. Pure.

Rules kept here:

* It is signed with the key of the home's receipts (`keyring.signing`), and its hash is in the
  audit record. So one that was changed is found by whoever has the home's keys, or its log.
* While a backup is made, a list of what it has so far is signed too: the next one goes on from it.
* Files that never change once written lie in `kept/`, and the next backup into the same folder has
  them too. All else is in a folder by the backup's own id.
* A path is one of the home, and leads nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

import orjson

from bailee.errors import IntegrityError
from bailee.keyring import signing

KEPT: Final = "kept"
_TYPE: Final = "bailee/backup/1"
_UNFINISHED: Final = "bailee/unfinished-backup/1"
_SNAPSHOT: Final = "bailee/key-snapshot/1"


@dataclass(frozen=True, slots=True)
class BackedFile:
    """A file of a home, by its path there; the folder of the backup in which it lies below; its
    size in bytes and SHA-256, hexadecimal.

    `mark`: what the place said of it then, and says for as long as nobody changes it. `read`: the
    day on which all of it was read last, or written.
    """

    path: str
    folder: str
    size: int
    sha256: str
    mark: str = ""
    read: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup of a home's data. `leaves`: how many entries of its audit record had a leaf;
    `checkpoint`: the log's, a signed note.
    """

    backup: str
    home: str
    at: datetime
    leaves: int
    checkpoint: str
    files: tuple[BackedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a home's keyring: until when it lives; the home's root's newest generation when
    it was taken; SHA-256 of its file of keys; how many leaves the log had before.
    """

    snapshot: str
    home: str
    at: datetime
    until: datetime
    generation: int
    sha256: str
    leaves: int


def manifest_bytes(manifest: Manifest, seed: bytes, *, unfinished: bool = False) -> bytes:
    """A manifest as it is written, or the list of what a backup has so far. `seed`: the private
    key.
    """
    return _signed(_UNFINISHED if unfinished else _TYPE, asdict(manifest), seed)


def snapshot_bytes(snapshot: Snapshot, seed: bytes) -> bytes:
    """What a snapshot says of itself, as it is written."""
    return _signed(_SNAPSHOT, asdict(snapshot), seed)


def manifest_of(raw: bytes, what: str, *, unfinished: bool = False) -> tuple[Manifest, str]:
    """The manifest, and the public key that signed it. `what` names it in the error.

    Raises:
        IntegrityError: it is none, or was changed.
    """
    said, key = _opened(_UNFINISHED if unfinished else _TYPE, raw, what)
    try:
        files = tuple(BackedFile(**one) for one in said.pop("files"))  # type: ignore[attr-defined]
        made = Manifest(**_moments(said), files=files)  # type: ignore[arg-type]
        if not all(_leads_inside(one) for one in files):
            raise ValueError("a path leads elsewhere")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(what) from error
    return made, key


def snapshot_of(raw: bytes, what: str) -> tuple[Snapshot, str]:
    """What a snapshot says of itself, and the public key that signed it. Errors as above."""
    said, key = _opened(_SNAPSHOT, raw, what)
    try:
        return Snapshot(**_moments(said)), key  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(what) from error


def digest(raw: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def _signed(kind: str, said: Mapping[str, object], seed: bytes) -> bytes:
    plain = orjson.loads(orjson.dumps({"type": kind, **said}))
    return orjson.dumps(signing.sign(seed, plain)) + b"\n"


def _opened(kind: str, raw: bytes, what: str) -> tuple[dict[str, object], str]:
    try:
        said, key = signing.verify(orjson.loads(raw))
    except (orjson.JSONDecodeError, IntegrityError) as error:
        raise _damaged(what) from error
    if said.pop("type", None) != kind:
        raise _damaged(what)
    return said, key


def _moments(said: Mapping[str, object]) -> dict[str, object]:
    return {
        name: datetime.fromisoformat(str(value)) if name in ("at", "until") else value
        for name, value in said.items()
    }


def _leads_inside(file: BackedFile) -> bool:
    path = PurePosixPath(file.path)
    return not path.is_absolute() and ".." not in path.parts and "/" not in file.folder


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        f"{what} is not what was written.",
        hint="it was changed or damaged; take another backup. Nothing was restored",
    )
