"""The key of what a client keeps: whose file it may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bailee.client.local_key import machine_key
from bailee.errors import InputError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_a_key_of_another_users_is_refused(tmp_path: Path) -> None:
    """What would be kept under it would be theirs to read."""
    made = machine_key(tmp_path, ring=lambda: None)
    assert made == machine_key(tmp_path, ring=lambda: None)
    (file,) = (path for path in tmp_path.iterdir() if path.is_file())
    os.chown(file, 65534, -1)
    with pytest.raises(InputError, match="belongs to another user"):
        machine_key(tmp_path, ring=lambda: None)
