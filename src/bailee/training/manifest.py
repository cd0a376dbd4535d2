"""What a dataset says of itself: which files, how many rows, who allowed them. Pure.

    DIR/data/train-00000-of-00002.parquet    the rows
    DIR/sessions.jsonl                       each session: commitments to it and its consent, clause
    DIR/README.md, DATASHEET.md, croissant.json, plots/    what it is, for people and loaders
    DIR/manifest.json                        what is here, with the hash of each file
    DIR/manifest.sig                         the home's signature of that, a signed note
    DIR/manifest.proof                       that it is on record, a proof of the log

Rules kept here:

* No id of a session, an account, a person or a consent record stands in the clear. A session is its
  *commitment*: HMAC-SHA-256 under a key of the home's, other in each export, so that two can't be
  joined. So is a consent record, other for each session, so that nobody sees which have one owner.
* What is signed is a text that names what it is and whose: it is no checkpoint of a log.

Formats: c2sp.org/signed-note, c2sp.org/tlog-proof.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Final

import orjson

from bailee.errors import IntegrityError
from bailee.json_values import JsonObject, elements, members, text

TYPE: Final = "bailee/training/1"
KEY: Final = "training/commitments"
"""The keyring's named secret under which sessions are committed to."""
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
PROOF: Final = "manifest.proof"
SESSIONS: Final = "sessions.jsonl"
DATA: Final = "data"


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file of a dataset. `path`: from the dataset's folder; `rows`: None where it has none."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """A dataset. `home`: the name of the home's log; `policy`, `policy_version`: the document that
    decided; `entry`: the number of the entry of the home's audit record that says by whom and for
    what; `since`: of sessions active since; `taken_out`: sessions that were written and may not be
    in it any more, by why; `unreadable`: sessions that could not be read; `counts`: rows by what
    they are, as `counting` has them; `names_model`: the digest of the model that found names (see
    `naming.digest_of_model`), None: names were not looked for.
    """

    export: str
    home: str
    policy: str
    policy_version: str
    began: str
    finished: str
    entry: int
    format: str
    since: str | None
    sessions: int
    rows: int
    duplicates: int
    taken_out: dict[str, int]
    unreadable: int
    counts: JsonObject
    files: tuple[SignedFile, ...]
    names_model: str | None = None


def commitment(key: bytes, export: str, session: str) -> str:
    """What stands for a session in an export, in hexadecimal. `key`: 32 bytes."""
    said = f"{TYPE}\0{export}\0{session}".encode()
    return hmac.digest(key, said, "sha256").hex()


def consent_commitment(key: bytes, export: str, session: str, record: str) -> str:
    """What stands for the consent record that allowed a session, in hexadecimal; empty where there
    is none. `session`: its id; `key`: 32 bytes.
    """
    if not record:
        return ""
    said = f"{TYPE}/consent\0{export}\0{session}\0{record}".encode()
    return hmac.digest(key, said, "sha256").hex()


def as_bytes(manifest: DatasetManifest) -> bytes:
    """A manifest as it is written."""
    said = {"type": TYPE, **asdict(manifest)}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def of_bytes(raw: bytes) -> DatasetManifest:
    """The manifest that was written.

    Raises:
        IntegrityError: it is none.
    """
    try:
        said: JsonObject = members(orjson.loads(raw))
        if said.pop("type", None) != TYPE:
            raise ValueError("another type")
        files = tuple(
            SignedFile(**members(one))  # type: ignore[arg-type]
            for one in elements(said.pop("files"))
        )
        counts = members(said.pop("counts"))
        made = DatasetManifest(**said, counts=counts, files=files)  # type: ignore[arg-type]
        if not all(_leads_inside(one.path) for one in files):
            raise ValueError("a path leads elsewhere")
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            "this is no manifest of a dataset, or it was changed.",
            hint="name the folder that an export was written to; nothing was changed",
        ) from error
    return made


def digest(raw: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def statement(home: str, export: str, document: str) -> str:
    """What a home signs of a manifest. `document`: its SHA-256."""
    return f"{TYPE}\n{home}\n{export}\n{document}\n"


def session_line(commitment_: str, shard: int, rows: int, why: Mapping[str, str]) -> bytes:
    """A session's line. `why`: its clause and the commitment to its consent record, or why it was
    taken out.
    """
    said = {"session": commitment_, "shard": shard, "rows": rows, **why}
    return orjson.dumps(said) + b"\n"


def session_of(line: bytes) -> tuple[str, int]:
    """Of a session's line its commitment, and how many rows it has in the files.

    Raises:
        IntegrityError: it is none.
    """
    try:
        said = members(orjson.loads(line))
        rows = said["rows"]
        if not isinstance(rows, int):
            raise ValueError("no number")
    except (KeyError, ValueError) as error:
        raise IntegrityError("the list of sessions has a line that is none.") from error
    return text(said.get("session")), 0 if "left" in said else rows


def _leads_inside(path: str) -> bool:
    made = PurePosixPath(path)
    return not made.is_absolute() and ".." not in made.parts
