"""What a leaf commits to: an entry of the audit record as bytes, the same for ever. Pure.

    leaf    = SHA-256(salt || payload)           32 bytes, an entry of the tree
    payload = {"at":…,"body":{…},"digest":…,"format":"bailee/audit/1","kind":…,"subject":…}
    digest  = SHA-256(salt || {name: text, …})   of the particulars that are somebody's

Rules kept here:

* A payload is JSON (RFC 8259) in UTF-8: keys sorted, no spaces, moments in UTC to the microsecond.
  It is made again from the entry whenever it is needed, so that whoever changes an entry is found.
* A salt is 32 random bytes, and each commitment has its own: a leaf says nothing of its entry.
* What is somebody's stands in the payload as null, and is committed to by `digest` with a salt that
  lies under their key. Once that key is destroyed nobody can try what it may have been, and the
  payload, which names nobody, still shows what happened and when.
* Where it was gone before the entry became a leaf, `digest` is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import orjson

FORMAT: Final = "bailee/audit/1"
SALT_BYTES: Final = 32


def written(at: datetime) -> str:
    """A moment as a payload has it. `at` is aware."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def payload(
    at: str, kind: str, subject: str, body: Mapping[str, object], digest: bytes | None
) -> bytes:
    """The bytes of an entry. `at`: as `written` gives it; `body`: its particulars, those that are
    somebody's as None; `digest`: the commitment to these, None where there is none.
    """
    content = {
        "at": at,
        "body": body,
        "digest": None if digest is None else digest.hex(),
        "format": FORMAT,
        "kind": kind,
        "subject": subject,
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)  # here: it is done for every leaf


def digest_of(salt: bytes, particulars: Mapping[str, str]) -> bytes:
    """The commitment to particulars that are somebody's, 32 bytes."""
    return commitment(salt, _canonical(particulars))


def commitment(salt: bytes, content: bytes) -> bytes:
    """The commitment to some bytes, 32 bytes. `salt`: 32 random bytes."""
    assert len(salt) == SALT_BYTES
    return sha256(salt + content).digest()


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
