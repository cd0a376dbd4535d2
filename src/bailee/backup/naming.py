"""The place of a backup that somebody names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bailee.backup.places import BackupPlace, FolderPlace
from bailee.errors import InputError


def place_of(given: str, environment: Mapping[str, str] = os.environ) -> BackupPlace:
    """The place that somebody named: a folder, or `s3://BUCKET/PREFIX`.

    Raises:
        InputError: code `configuration`, it is none, or can't be used with this environment.
    """
    if "://" not in given:
        return FolderPlace(Path(given))
    if not given.startswith("s3://"):
        raise InputError(
            "a backup goes into a folder or a bucket.",
            code="configuration",
            hint="name a folder, or s3://BUCKET/PREFIX",
        )
    from bailee.outbound.bucket import Bucket  # the library takes a moment to import

    return Bucket(given, environment)
