"""The label of this home's console on its own machine: `bailee-` and 16 random digits.

It stays the same, so that a browser's cookies and a person's passkeys go on being good. That
others do not know it is what keeps the console's cookie from other programs (`console.names`).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from bailee.errors import StorageError

_LABEL: Final = re.compile(r"bailee-[0-9a-f]{16}")


def console_label(file: Path) -> str:
    """The label in `file`, which is made, for its owner's eyes alone, if it holds none.

    Raises:
        StorageError: it can't be read or written.
    """
    try:
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            kept = file.read_text("ascii").strip()
            if _LABEL.fullmatch(kept):
                return kept
        label = f"bailee-{secrets.token_hex(8)}"
        new = file.with_name(file.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as written:
            written.write(label + "\n")
        new.replace(file)
    except OSError as error:
        raise StorageError(
            f"{file} can't be used ({error.strerror}).", hint="fix its permissions"
        ) from error
    return label
