"""Reading a backup whole, and comparing each file with its hash."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bailee.backup.manifest import BackedFile, Manifest, manifest_of
from bailee.backup.places import MANIFEST, BackupPlace, read, wrong
from bailee.errors import InputError, StorageError

_UNREADABLE: Final = 3  # one after the other: the place is away, and not a file damaged


def verified(place: BackupPlace) -> tuple[Manifest, str, list[tuple[str, str]]]:
    """Read a backup whole: its manifest, the public key that signed it, and what is wrong with
    which file.

    Raises:
        InputError: code `not_found`, there is no backup.
        IntegrityError: the manifest is not what was written.
        StorageError: the place can't be read.
    """
    manifest, key, _ = opened(place)
    return manifest, key, [one for one in compared(place, manifest) if one is not None]


def opened(place: BackupPlace) -> tuple[Manifest, str, bytes]:
    """A backup's manifest, the public key that signed it, and its bytes. Errors as above."""
    raw = read(place, MANIFEST)
    if raw is None:
        raise InputError(
            f"there is no whole backup in {place.named}.",
            code="not_found",
            hint="name the folder or the bucket that bailee backup create was given",
        )
    return *manifest_of(raw, f"{place.named}/{MANIFEST}"), raw


def compared(place: BackupPlace, manifest: Manifest) -> Iterator[tuple[str, str] | None]:
    """For each file of a backup which it is and what is wrong with it; None: nothing is.

    Raises:
        StorageError: several one after the other can't be read.
    """

    def look(file: BackedFile) -> str | StorageError | None:
        try:
            return wrong(place, file)
        except StorageError as error:
            return error

    together, unreadable = 16 * place.at_once, 0
    with ThreadPoolExecutor(place.at_once) as pool:
        for start in range(0, len(manifest.files), together):
            some = manifest.files[start : start + together]
            for one, what in zip(some, pool.map(look, some), strict=True):
                if isinstance(what, StorageError):
                    unreadable += 1
                    if unreadable == _UNREADABLE:
                        raise what
                    yield _named(one), "it can't be read."
                    continue
                unreadable = 0
                yield None if what is None else (_named(one), what)


def _named(file: BackedFile) -> str:
    return f"{file.folder}/{file.path}"
