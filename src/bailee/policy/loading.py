"""From a file, or the document that comes with the package, to a policy that has been proved.

The only module of the policy that reads from disk.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath
from typing import Final

from bailee.errors import InputError
from bailee.policy.parsing import read
from bailee.policy.policy import Policy
from bailee.policy.reading import Unsound

VERSIONS: Final = ("2025-08-28", "2025-10-17", "2025-10-27", "2026-08-22")
"""The versions of the document that come with the package, oldest first."""
PROVED: Final = frozenset({
    "100e7e498f531a30ae631810df4f1a65e07b7b057572d37e397baf770941479a",
    "213275af3087dc2c1dc8ff17e7d98f46526887474d0f79565624119093de0630",
    "e6d49a1209c302d2a34dfceaec5249dd2d7e586f28f6a68502a5daed5d706ad2",
    "fc85fbac64fde9150335aed73fb1c27cc727d96069e2c7ad67d7e06a9537336e",
})  # fmt: skip
"""SHA-256 of these versions. The tests prove them as this code would, so that a start need not."""
SHIPPED: Final = "2025-10-27.toml"
"""The one that holds where no other is named."""
_LARGEST: Final = 4 * 1024 * 1024
_DOCUMENTS: Final = Path(__file__).with_name("documents")


def load(path: Path | None = None) -> Policy:
    """The policy of the document at `path`; None: the one that holds where no other is named. A
    path that is the name of a shipped version, such as `2026-08-22`, is that version.

    Raises:
        Unsound: the document is malformed or not sound (`problems` says where and why).
        InputError: there is no such file, or it can't be read.
    """
    return from_bytes(content(path), name_of(path))


@lru_cache(maxsize=8)  # reading and proving one takes 40 ms, each time that a home is opened
def from_bytes(document: bytes, file: str | PurePath) -> Policy:
    """The policy of a document's bytes; `file` is its name in messages. Raises `Unsound`."""
    sound = read(document, file)
    if sound.sha256 not in PROVED:
        from bailee.policy import proof, rooms

        found = [*proof.problems(sound), *rooms.problems(sound)]
        if found:
            raise Unsound(found)
    return Policy(sound)


def content(path: Path | None = None) -> bytes:
    """The exact bytes of the document. Raises `InputError` when it can't be read."""
    if path is None or _shipped(path) is not None:
        return shipped(_file(path).removesuffix(".toml"))
    try:
        with path.open("rb") as file:
            found = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(
            f"The policy document {path} can't be read: {error.strerror or 'unknown reason'}.",
            code="not_found" if isinstance(error, FileNotFoundError) else "configuration",
            hint="give the path of a policy document",
        ) from None
    if len(found) > _LARGEST:
        raise InputError(f"{path} is too large to be a policy document.", code="configuration")
    return found


def shipped(version: str) -> bytes:
    """The exact bytes of a version of `VERSIONS`."""
    return (_DOCUMENTS / f"{version}.toml").read_bytes()


def shipped_as(document: bytes) -> str | None:
    """The version as which a document's bytes come with the package; None: they do not."""
    return next((one for one in VERSIONS if shipped(one) == document), None)


def name_of(path: Path | None) -> str | PurePath:
    """How a document is called in messages."""
    return path if path is not None and _shipped(path) is None else _file(path)


def _shipped(path: Path | None) -> str | None:
    """The shipped version that a path names; None: it names a file."""
    name = str(path)
    return name if name in VERSIONS and not Path(name).exists() else None


def _file(path: Path | None) -> str:
    """The file of a shipped version."""
    return SHIPPED if path is None else f"{path}.toml"
