"""What has a folder's names outlast a crash: whoever creates, renames or removes a file in it says
so here. What is in a file is synced by whoever wrote it; what a library wrote, here too.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable.

    Raises:
        OSError: the folder can't be opened, or the disk fails.
    """
    _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make durable what is in a file that a library wrote.

    Raises:
        OSError: the file can't be opened, or the disk fails.
    """
    _sync(path, 0)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
