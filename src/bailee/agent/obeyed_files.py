"""Files of a workspace that programs obey because git's configuration or a link leads to them.

Rules kept here:

* Of configuration every value is looked at, by whatever key: a file of the workspace that it names
  may be run. Folders, and files that are not there yet, count where git looks for them by that key
  (hooks, further configuration, templates, what watches the files).
* Links that are settings, or lie in a folder of settings, count with what they lead to.
* A name is held by what it leads to (`ObeyedFile.identity`): when it leads elsewhere afterwards,
  however that was done, it has changed.
* Git is asked what its configuration says; that runs nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.agent.git_folders import Identity
from bailee.agent.obeyed import GIT

_MOST: Final = 2_000  # entries of a folder of settings that are looked at for links
_LARGEST: Final = 200_000  # bytes of a configuration, and of what git says of one
_LOOKED_FOR: Final = re.compile(
    r"core\.(?:hookspath|fsmonitor|sshcommand)|include\.path|includeif\..*\.path|init\.templatedir"
)
# What is data, whatever it says.
_DATA: Final = re.compile(
    r"(?:user|author|committer|branch|blame|commit|mailmap|safe|color|column|format)\..*"
    r"|core\.(?:excludesfile|attributesfile|worktree)|remote\..*\.(?:url|pushurl|fetch)"
)
# A repository whose own configuration has none of these names nothing.
_NAMING: Final = re.compile(
    rb"alias|askpass|clean|cmd|command|editor|external|filter|fsmonitor|gpg|helper|hook|include"
    rb"|pager|path|process|program|driver|smudge|template|textconv|uploadpack|receivepack",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ObeyedFile:
    """A file or folder that is obeyed. `path`: as it is named; `identity`: of what that led to;
    None where there was nothing.
    """

    path: Path
    identity: Identity | None

    @classmethod
    def at(cls, path: Path) -> ObeyedFile:
        """What is there now."""
        return cls(path, _identity(path))

    @property
    def real(self) -> Path:
        """Where it leads."""
        return Path(os.path.realpath(self.path))

    def has_changed(self) -> bool:
        """Whether the name leads to something else by now."""
        now = _identity(self.path)
        return now is not None and now != self.identity

    def to_put_aside(self, roots: Sequence[Path]) -> Path:
        """What has to go so that the name leads nowhere: what it leads to; where that is none of
        the workspace's, the link that leads there.
        """
        real = self.real
        if any(root in real.parents for root in roots):
            return real
        for path in (*reversed(self.path.parents), self.path):
            if path.is_symlink() and any(root in path.parents for root in roots):
                return path
        return self.path


def named(
    obeyed: Sequence[Path],
    roots: Sequence[Path],
    above: Path | None,
    environment: Mapping[str, str],
) -> list[ObeyedFile]:
    """What is named in a workspace. `obeyed`: what was found there by its name; `above`: the folder
    of the repository around it. Blocks.
    """
    first, home = above or roots[0], Path(environment.get("HOME") or Path.home())
    tops = {path.parent for path in obeyed if path.name == GIT} - {first}
    entries = list(_configuration(first, environment))
    everywhere = [entry for entry in entries if entry.scope in ("global", "system")]
    paths = dict.fromkeys(_paths(entries, first, home))
    for top in sorted(tops):
        own = _configuration(top, environment) if _names_something(top) else everywhere
        paths |= dict.fromkeys(_paths(own, top, home))
    for path in obeyed:
        if path.name != GIT:
            paths |= dict.fromkeys(_links(path))
        elif path.is_symlink():
            paths[path] = None
    return [ObeyedFile.at(path) for path in paths if _of_workspace(path, roots)]


@dataclass(frozen=True, slots=True)
class _Entry:
    scope: str
    origin: str
    key: str
    value: str


def _configuration(top: Path, environment: Mapping[str, str]) -> Iterator[_Entry]:
    """What git's configuration says in a folder."""
    command = ["git", "-C", str(top), "config", "--list", "--null", "--show-origin", "--show-scope"]
    try:
        done = subprocess.run(  # noqa: S603
            command, env=dict(environment), capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    parts = done.stdout[:_LARGEST].decode(errors="surrogateescape").split("\0")
    for scope, origin, entry in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = entry.partition("\n")
        yield _Entry(scope, origin.removeprefix("file:"), key, value)


def _names_something(top: Path) -> bool:
    """Whether the configuration of a repository, or of what it is a worktree of, may name files."""
    git = top / GIT
    if not git.is_dir():  # a file that leads to it
        return True
    for name in ("config", "config.worktree"):
        with contextlib.suppress(OSError), (git / name).open("rb") as opened:
            if _NAMING.search(opened.read(_LARGEST)):
                return True
    return False


def _paths(entries: Iterable[_Entry], top: Path, home: Path) -> Iterator[Path]:
    """The files that configuration consists of, and those that it names."""
    for entry in entries:
        origin = top / entry.origin
        yield origin
        if _DATA.fullmatch(entry.key):
            continue
        if _LOOKED_FOR.fullmatch(entry.key):
            included = entry.key.startswith("include")
            base = origin.parent if included else top
            path = base / _expanded(entry.value, home)
            yield path
            if path.name == "_":  # husky's: what lies there runs what lies beside it
                yield path.parent
        for word in _words(entry.value):
            with contextlib.suppress(OSError, ValueError):  # no name of a file
                if (path := top / _expanded(word, home)).is_file():
                    yield path


def _words(value: str) -> list[str]:
    text = value.removeprefix("!")
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _expanded(text: str, home: Path) -> str:
    return f"{home}{text[1:]}" if text == "~" or text.startswith("~/") else text


def _links(settings: Path) -> Iterator[Path]:
    """Links that settings are, or have in them."""
    if settings.is_symlink():
        yield settings
    left = _MOST
    for folder, below, files in os.walk(settings):
        for name in (*below, *files):
            left -= 1
            if (path := Path(folder, name)).is_symlink():
                yield path
        if left < 0:
            return


def _of_workspace(path: Path, roots: Sequence[Path]) -> bool:
    """Whether a name, or what it leads to, lies in the workspace, and not in a git directory."""
    with contextlib.suppress(OSError, ValueError):
        real = Path(os.path.realpath(path))
        return any(
            root in one.parents and GIT not in one.relative_to(root).parts[:-1]
            for root in roots
            for one in (real, Path(os.path.normpath(path)))
        )
    return False


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
