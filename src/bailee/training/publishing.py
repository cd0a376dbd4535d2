"""A signed dataset, put into a bucket.

Rules kept here:

* The proof is put last: where it is, all else is.
* What the bucket took is compared with what the manifest says of it.
* It can be done again from its beginning: to put the same again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bailee.errors import InputError, IntegrityError
from bailee.outbound.bucket import Bucket
from bailee.training import manifest
from bailee.training.manifest import SignedFile

_BY_THEMSELVES: Final = (manifest.MANIFEST, manifest.SIGNATURE)


def check_bucket(bucket: Bucket, *, going_on: bool) -> None:
    """Whether a dataset may be put into a bucket. `going_on`: an export into it was broken off.

    Raises:
        InputError: there is something else in it.
        StorageError: it can't be asked.
    """
    done = bucket.mark(manifest.PROOF) is not None
    if done or (not going_on and next(bucket.names(), None) is not None):
        raise InputError(
            "there is something at this place already.",
            hint="name another prefix, or one with an export that was broken off; "
            "nothing was written",
        )


def publish(folder: Path, bucket: Bucket) -> Iterator[int]:
    """Put a signed dataset's files; after each, how many are there.

    Raises:
        IntegrityError: a file is not what was signed; the dataset has no proof there then.
        StorageError: a file can't be put; call again.
    """
    made = manifest.of_bytes((folder / manifest.MANIFEST).read_bytes())
    _clear(bucket, made.files)

    def take(one: SignedFile) -> None:
        put = bucket.take(one.path, folder / one.path)
        if (put.size, put.sha256) != (one.bytes, one.sha256):
            raise IntegrityError(
                f"{one.path} is not what was signed.",
                hint="export again, to another prefix; the home was not changed",
            )

    with ThreadPoolExecutor(bucket.at_once, "publishing") as pool:
        for number, _ in enumerate(pool.map(take, made.files), 1):
            yield number
    for name in (*_BY_THEMSELVES, manifest.PROOF):
        bucket.write(name, (folder / name).read_bytes())


def _clear(bucket: Bucket, files: tuple[SignedFile, ...]) -> None:
    """Remove the rows that an export which was given up has left; nothing that is not of one."""
    known = {one.path for one in files}
    left = (name for name in bucket.names() if name.startswith(f"{manifest.DATA}/train-"))
    bucket.remove([name for name in left if name not in known])
