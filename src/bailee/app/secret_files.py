"""Files that settings name and that hold a secret."""

from __future__ import annotations

from pathlib import Path

from bailee.config import Settings
from bailee.errors import InputError
from bailee.home.guarding import check_secret


def secret_file(settings: Settings, name: str) -> Path | None:
    """The file that a setting names, which is its owner's alone; None: it names none.

    Raises:
        InputError: code `configuration`; it is not there, or others can read it.
    """
    text = settings.text(name)
    if text is None:
        return None
    path = Path(text)
    check_secret(path)
    if not path.is_file():
        raise InputError(
            f"{name}: {path} is not there.",
            code="configuration",
            hint="make it, for whoever runs the server alone",
        )
    return path
