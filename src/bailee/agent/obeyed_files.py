"""Files of a workspace that programs obey because git's configuration, settings or a link lead to
them.

Rules kept here:

* Of configuration every value is looked at, by whatever key, and of the environment the variables
  that name programs: a file of the workspace that they name may be run, however a shell would put
  its name together. So may one that is not there yet, where they name a path or a script.
* Folders count where git looks for them by that key (hooks, templates), and so do files by any name
  (further configuration, what watches the files).
* What configuration says on a condition counts whether that holds or not.
* Of settings the scripts count that they say to run (`settings_scripts`).
* Links that are settings, or lie in a folder of settings, count with what they lead to.
* A name is held by what it leads to (`ObeyedFile.identity`): when it leads elsewhere afterwards,
  however that was done, it has changed.
* Git is asked what its configuration says; that runs nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.agent.git_folders import Identity
from bailee.agent.obeyed import GIT
from bailee.agent.settings_scripts import scripts_of
from bailee.agent.spoken import expanded, spoken_of

_MOST: Final = 2_000  # entries of a folder of settings that are looked at for links
_LARGEST: Final = 200_000  # bytes of a configuration, and of what git says of one
_MOST_CONDITIONS: Final = 50
_LOOKED_FOR: Final = re.compile(
    r"core\.(?:hookspath|fsmonitor|sshcommand)|include\.path|includeif\..*\.path|init\.templatedir"
)
# What is data, whatever it says.
_DATA: Final = re.compile(
    r"(?:user|author|committer|branch|blame|commit|mailmap|safe|color|column|format)\..*"
    r"|core\.(?:excludesfile|attributesfile|worktree)|remote\..*\.(?:url|pushurl|fetch|push)"
    r"|submodule\..*\.(?:url|active|branch)"
)
_VARIABLES: Final = re.compile(
    r"GIT_(?:.*EDITOR|.*PAGER|SSH(?:_COMMAND)?|EXTERNAL_DIFF|PROXY_COMMAND|TEMPLATE_DIR)"
    r"|.*EDITOR|.*PAGER|.*ASKPASS|VISUAL|BROWSER|SHELL|BASH_ENV|ENV|PROMPT_COMMAND|LESS(?:OPEN|CLOSE)"
    r"|LD_PRELOAD|PYTHONSTARTUP|NODE_OPTIONS|PERL5OPT|RUBYOPT|JAVA_TOOL_OPTIONS"
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
    None where there was nothing. `only_file`: a folder that comes there counts for nothing.
    """

    path: Path
    identity: Identity | None
    only_file: bool = False

    @classmethod
    def at(cls, path: Path, *, only_file: bool = False) -> ObeyedFile:
        """What is there now."""
        return cls(path, _identity(path), only_file)

    @property
    def real(self) -> Path:
        """Where it leads."""
        return Path(os.path.realpath(self.path))

    def has_changed(self) -> bool:
        """Whether the name leads to something else by now."""
        now = _identity(self.path)
        if now is None or now == self.identity:
            return False
        return not self.only_file or self.path.is_file()

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
    entries = [*_configuration(first, environment), *_of_environment(environment)]
    entries += _conditional(entries, first, home, environment)
    everywhere = [entry for entry in entries if entry.scope not in ("local", "worktree")]
    paths = [*_paths(entries, first, home)]
    for top in sorted(tops):
        own = everywhere
        if _names_something(top):
            own = [*_configuration(top, environment), *_of_environment(environment)]
            own += _conditional(own, top, home, environment)
        paths += _paths(own, top, home)
    for path in obeyed:
        if path.name != GIT:
            paths += ((link, False) for link in _links(path))
            paths += ((script, True) for script in scripts_of(path, roots, home))
        elif path.is_symlink():
            paths.append((path, False))
    widely = {path for path, only_file in paths if not only_file}
    return [
        ObeyedFile.at(path, only_file=path not in widely)
        for path in dict.fromkeys(path for path, _ in paths)
        if _of_workspace(path, roots)
    ]


@dataclass(frozen=True, slots=True)
class _Entry:
    scope: str
    origin: str
    key: str
    value: str


def _configuration(top: Path, environment: Mapping[str, str], *which: str) -> Iterator[_Entry]:
    """What git's configuration says in a folder; `which`: of that alone."""
    how = ("--list", "--null", "--show-origin", "--show-scope", *which)
    command = ["git", "-C", str(top), "config", *how]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=dict(environment),
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    parts = done.stdout[:_LARGEST].decode(errors="surrogateescape").split("\0")
    for scope, origin, entry in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = entry.partition("\n")
        yield _Entry(scope, origin.removeprefix("file:"), key, value)


def _conditional(
    entries: Sequence[_Entry], top: Path, home: Path, environment: Mapping[str, str]
) -> list[_Entry]:
    """What is said on a condition, which a command may bring about: on a branch, say."""
    made: list[_Entry] = []
    on_condition = [entry for entry in entries if entry.key.startswith("includeif.")]
    for entry in on_condition[:_MOST_CONDITIONS]:
        file = (top / entry.origin).parent / expanded(entry.value, home)
        if file.is_file():
            said = _configuration(top, environment, "--includes", "--file", str(file))
            made += [
                _Entry(entry.scope, *one) for one in ((e.origin, e.key, e.value) for e in said)
            ]
    return made


def _of_environment(environment: Mapping[str, str]) -> Iterator[_Entry]:
    """The variables that name programs, or what those run."""
    for name, value in environment.items():
        if _VARIABLES.fullmatch(name):
            yield _Entry("environment", "", name, value)


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


def _paths(entries: Iterable[_Entry], top: Path, home: Path) -> Iterator[tuple[Path, bool]]:
    """The files that configuration consists of, and those that it names; of each, whether it counts
    as a file alone.
    """
    for entry in entries:
        origin = top / entry.origin
        if entry.origin:
            yield origin, False
        if _DATA.fullmatch(entry.key):
            continue
        if _LOOKED_FOR.fullmatch(entry.key):
            included = entry.key.startswith("include")
            base = origin.parent if included else top
            path = base / expanded(entry.value, home)
            yield path, False
            if path.name == "_":  # husky's: what lies there runs what lies beside it
                yield path.parent, False
        if entry.key.startswith("alias.") and not entry.value.startswith("!"):
            continue
        yield from ((path, True) for path in spoken_of(entry.value, top, home))


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
        for way in (os.path.normpath, os.path.realpath):
            one = Path(way(path))
            if any(
                root in one.parents and GIT not in one.relative_to(root).parts[:-1]
                for root in roots
            ):
                return True
    return False


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
