"""What has a folder's names outlast a crash: whoever creates, renames or removes a file in it says
so here. What is in a file is synced by whoever wrote it.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable.

    Raises:
        OSError: the folder can't be opened, or the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
