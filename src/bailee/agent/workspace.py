"""The folder an agent works in, and which paths belong to it.

Rules kept here:

* A path is judged by where it *leads*: every symbolic link is followed before the question
  "inside?" is asked, so that a link in the workspace does not open what lies outside it.
* Reading inside is harmless; reading outside has to be permitted. Writing has to be permitted, and
  what a later program would obey (git's hooks and configuration, and what that names;
  whatever begins with a dot and is not known to be inert) is guarded.
* What was judged is what is used (`opened`): no link is followed any more, in any part of the path.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bailee.errors import InputError
from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """Where a path leads. `subject` is what rules see: relative to the workspace inside it, and
    absolute outside; `names` are other names of the same place (absolute, from the home), `spelled`
    the path as it was asked for, no link followed.
    """

    real: Path
    inside: bool
    subject: str
    guarded: str | None
    names: tuple[str, ...] = ()
    spelled: str = ""


class Workspace:
    """A folder, and more folders if a person added some. `granted`: names that are no settings, by
    the person's word.
    """

    def __init__(
        self, root: Path, more: tuple[Path, ...] = (), granted: tuple[str, ...] = ()
    ) -> None:
        self.root: Final = Path(os.path.realpath(root))
        self.roots: Final = (self.root, *(Path(os.path.realpath(p)) for p in more))
        self._granted: Final = granted
        self._home: Final = Path(os.path.realpath(Path("~").expanduser()))
        self._named: tuple[Path, ...] | None = None  # found out when first needed

    def place(self, path: str) -> WorkspacePath:
        """Where `path` leads; relative paths start at the workspace's root, `~/` at the home.

        Raises:
            InputError: the path can't be meant (empty, a null byte, a loop of links).
        """
        if not path or "\0" in path:
            raise InputError("the path is empty or holds a null byte.")
        try:
            home = path == "~" or path.startswith("~/")
            asked = self.root / (Path(path).expanduser() if home else path)
            real = Path(os.path.realpath(asked))
            if real.is_symlink():  # realpath leaves a loop as it is
                raise InputError(f"{path} is a loop of links.")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path!r} can't be resolved.") from error
        spelled = self.show(Path(os.path.normpath(asked)))
        names: tuple[str, ...] = (str(real),)
        if self._home in real.parents:
            names += (f"~/{real.relative_to(self._home)}",)
        for root in self.roots:
            if real == root or root in real.parents:
                inner = real.relative_to(root)
                subject = str(inner) if root == self.root else str(real)
                guarded = _guard(inner.parts, self._granted) or self._named_guard(real, subject)
                return WorkspacePath(real, True, subject, guarded, names, spelled)
        return WorkspacePath(real, False, str(real), _guard(real.parts), names, spelled)

    def _named_guard(self, real: Path, subject: str) -> str | None:
        """Why a file is guarded that git's configuration, or settings at the top, name."""
        if self._named is None:
            from bailee.agent import git_folders, obeyed_files

            around = git_folders.enclosing(self.root, self._home)
            above = None if around is None else around[0]
            settings = [*git_folders.settings_at(self.roots, self._granted)]
            found = obeyed_files.named(settings, self.roots, above, os.environ)
            self._named = tuple(one.real for one in found)
        if any(one == real or one in real.parents for one in self._named):
            return f"{subject} is named by git's configuration or by settings, and may be run."
        return None

    def show(self, real: Path) -> str:
        """A path as it is shown: relative inside the workspace."""
        return str(real.relative_to(self.root)) if self.root in real.parents else str(real)


def _guard(inner: Sequence[str], granted: Collection[str] | None = None) -> str | None:
    """Why a file is guarded by its names. `granted` None: it lies outside, by those known alone."""
    from bailee.agent.obeyed import guarded_part  # a start judges no path

    found = guarded_part(inner, known_alone=granted is None, granted=granted or ())
    return None if found is None else f"{found} holds what other programs obey, or may."


@contextmanager
def folder_of(place: WorkspacePath, *, make: bool = False) -> Iterator[int]:
    """The folder that a judged path lies in, open; no link is followed on the way. `make`: what is
    missing of it is made.

    Raises:
        OSError: it is not there, or a link by now.
    """
    how = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if hasattr(os, "O_PATH"):  # a folder may be entered that can't be listed
        how |= os.O_PATH
    at = os.open("/", how)
    try:
        for part in place.real.parts[1:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            below = os.open(part, how, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)
