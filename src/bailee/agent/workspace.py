"""The folder an agent works in, and which paths belong to it.

Rules kept here:

* A path is judged by where it *leads*: every symbolic link is followed before the question
  "inside?" is asked, so that a link in the workspace does not open what lies outside it.
* Reading inside is harmless; reading outside has to be permitted. Writing has to be permitted, and
  what a later program would obey (git's hooks and configuration, agents' settings) is guarded.
* A write goes to a new file that then takes the name of what the path led to when it was judged: a
  link put there in the meantime is replaced and never followed.
* Devices, pipes and sockets are not files.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.agent.obeyed import GUARDED
from bailee.errors import InputError

_LARGEST: Final = 10 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """Where a path leads. `subject` is what rules see: relative to the workspace inside it, and
    absolute outside.
    """

    real: Path
    inside: bool
    subject: str
    guarded: str | None


class Workspace:
    """A folder, and more folders if a person added some."""

    def __init__(self, root: Path, more: tuple[Path, ...] = ()) -> None:
        self.root: Final = Path(os.path.realpath(root))
        self.roots: Final = (self.root, *(Path(os.path.realpath(p)) for p in more))

    def place(self, path: str) -> WorkspacePath:
        """Where `path` leads; relative paths start at the workspace's root.

        Raises:
            InputError: the path can't be meant (empty, a null byte, a loop of links).
        """
        if not path or "\0" in path:
            raise InputError("the path is empty or holds a null byte.")
        try:
            asked = self.root / Path(path).expanduser()
            real = Path(os.path.realpath(asked))
            if real.is_symlink():  # realpath leaves a loop as it is
                raise InputError(f"{path} is a loop of links.")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path!r} can't be resolved.") from error
        for root in self.roots:
            if real == root or root in real.parents:
                inner = real.relative_to(root)
                subject = str(inner) if root == self.root else str(real)
                return WorkspacePath(real, True, subject, _guard(inner))
        return WorkspacePath(real, False, str(real), _guard(real))

    def show(self, real: Path) -> str:
        """A path as it is shown: relative inside the workspace."""
        return str(real.relative_to(self.root)) if self.root in real.parents else str(real)


def _guard(inner: Path) -> str | None:
    found = next((part for part in inner.parts if part.lower() in GUARDED), None)
    return None if found is None else f"{found} holds what other programs obey."


def read_bytes(place: WorkspacePath) -> bytes:
    """The file's bytes.

    Raises:
        InputError: there is no such file, or it is a folder, a device, or too large.
    """
    try:
        with open(place.real, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{place.subject} is not a file.")
            if found.st_size > _LARGEST:
                raise InputError(
                    f"{place.subject} is larger than {_LARGEST} bytes.",
                    code="request_too_large",
                    hint="look at a part of it with Bash or Grep",
                )
            return file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {place.subject}.", code="not_found") from None
    except IsADirectoryError:
        raise InputError(f"{place.subject} is a folder.") from None
    except OSError as error:
        raise InputError(f"{place.subject} can't be read: {error.strerror}.") from None


def write_bytes(place: WorkspacePath, content: bytes) -> None:
    """Puts `content` in the file's place, whole or not at all; keeps the file's mode.

    Raises:
        InputError: it can't be written.
    """
    made: str | None = None
    try:
        mode = place.real.lstat().st_mode if place.real.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            raise InputError(f"{place.subject} is not a file.")
        place.real.parent.mkdir(parents=True, exist_ok=True)
        if Path(os.path.realpath(place.real)) != place.real:
            raise InputError(f"{place.subject} leads somewhere else now.")
        handle, made = tempfile.mkstemp(dir=place.real.parent, prefix=f".{place.real.name[:100]}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), stat.S_IMODE(mode) if mode is not None else 0o666 & ~umask)
        Path(made).replace(place.real)
        made = None
    except OSError as error:
        raise InputError(f"{place.subject} can't be written: {error.strerror}.") from None
    finally:
        if made is not None:
            with contextlib.suppress(OSError):
                Path(made).unlink()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
