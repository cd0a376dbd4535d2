"""One command in the sandbox: what it sees is put together before it, and what it left is looked
through after it.

Inside there is the system, the toolchains, the workspace and what the person granted; the home is
empty but for that, the network too. Writable is the workspace, and in it not what programs obey:

* a git directory is a shadow (`git_shadow`), wherever it lies and however it is linked;
* settings (what begins with a dot and is not known to be inert, `obeyed`) are read-only; where
  there are none, at the top of a workspace, an empty folder stands in the place of the best known
  names, and is taken away afterwards;
* so are documents that tell a program what to start or to permit, whatever they are called
  (`telling`), files that git's configuration names, and what links among settings lead to
  (`obeyed_files`);
* what a command made anew elsewhere (a repository or settings in a subfolder, another file in the
  place of a named one) is put aside once nothing of it runs any more: renamed, and closed. Until
  then it is there.

Of a home that is in sight, being the workspace or granted, what begins with a dot is hidden.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bailee.agent import git_folders, toolchains
from bailee.agent.git_data import without_credentials
from bailee.agent.git_shadow import GitShadow
from bailee.agent.inside import GIT_CONFIG, PORT, Granted
from bailee.agent.obeyed import ASIDE, GIT, SETTINGS, is_known
from bailee.agent.obeyed_files import ObeyedFile, named
from bailee.agent.programs import WorkspacePrograms, beyond
from bailee.agent.telling import may_tell
from bailee.agent.watched import WatchedSettings

_LONGEST: Final = 220  # bytes of a name that are kept when it is put aside
_MOST_APART: Final = 100  # settings that are mounted one by one; others are watched
_PLACEHOLDER: Final = 0o511  # the mode of an empty folder in the place of a name
_SOCKET: Final = Path("/tmp/bailee-egress")  # noqa: S108
_RELAY_INSIDE: Final = Path("/tmp/bailee-relay.py")  # noqa: S108
_RELAY: Final = Path(__file__).with_name("relay.py")
_MADE_ANEW: Final = (Path("/tmp"), Path("/var/tmp"), Path("/run"))  # noqa: S108
# Of the person's own git settings, what is no credential and leads to none.
_GIT_SETTINGS: Final = (
    *("user.name", "user.email", "init.defaultbranch", "core.autocrlf", "core.eol"),
    *("core.safecrlf", "core.quotepath", "core.commentchar", "core.excludesfile", "pull.rebase"),
    *("pull.ff", "merge.ff", "merge.conflictstyle", "diff.algorithm", "rebase.autosquash"),
)


class SandboxedCommand:
    """One command's surroundings. Made before it, `line` is how it is run, `end` comes when nothing
    of it runs any more. Blocks: on a thread of its own.
    """

    def __init__(
        self,
        program: str,
        roots: Sequence[Path],
        environment: Mapping[str, str],
        granted: Granted,
        egress: Path | None = None,
    ) -> None:
        home = home_of(environment)
        self._roots = sorted(roots, key=lambda root: len(root.parts))
        self._first = roots[0]
        self._program = program
        self._egress = egress
        self._shadows: list[GitShadow] = []
        self._placeholders: list[Path] = []
        self._copies: list[Path] = []
        self._folder = tempfile.TemporaryDirectory(prefix="bailee-box-")
        self._granted = granted.names
        self._before = git_folders.look(self._roots, granted=granted.names)
        self._hidden: list[Path] = []
        self._closed: list[Path] = []  # hidden folders, in which toolchains may be put
        self._named: list[ObeyedFile] = []
        self._watched = WatchedSettings(())
        self._home = home
        self._programs = WorkspacePrograms.of(environment, self._roots)
        self._at_home = set(self._dotted())
        try:
            outside = beyond(environment, self._roots)
            self._mounts = self._laid_out(environment, outside, granted)
        except BaseException:
            self.end()
            raise

    def line(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside."""
        made = list(self._mounts)
        if self._egress is not None:
            relay = (sys.executable, "-I", "-S", str(_RELAY_INSIDE), str(_SOCKET), str(PORT))
            command = [*relay, *command]
        return [*made, "--chdir", str(self._first), "--", *command]

    def end(self) -> list[str]:
        """Takes over what may come out, and puts aside what may not; a line for each thing that a
        command did in vain.
        """
        told = []
        for shadow in reversed(self._shadows):
            try:
                told += [f"not taken over: {name}" for name in shadow.take_back()]
            except OSError as error:  # the others' turn comes all the same
                told.append(f"a git directory was not taken over: {error.strerror}")
        for placeholder in self._placeholders:
            with contextlib.suppress(OSError):
                placeholder.rmdir()
        since = self._before if self._before.whole else None
        after = git_folders.look(self._roots, insist=True, since=since, granted=self._granted)
        was = {(identity, path.name) for path, identity in self._before.obeyed.items()}
        for path, identity in after.obeyed.items():
            here = (identity, path.name) in was and not self._watched.has_moved(path, identity)
            if not here and not _is_placeholder(path):
                told.append(_put_aside(path))
        told += [_put_aside(path) for path in self._watched.changed()]
        told += [_put_aside(path, "it is too large to look through") for path in after.unseen]
        for held in self._named:
            if held.has_changed():
                told.append(_put_aside(held.to_put_aside(self._roots)))
        told += [_put_aside(path) for path in self._dotted() if path not in self._at_home]
        for path in self._programs.in_place_of_others():
            told.append(_put_aside(path, "it would run in the place of the system's"))
        if not after.whole:
            told.append("the workspace is too large to look through for new repositories")
        self._folder.cleanup()
        return told

    # -- what it sees ----------------------------------------------------------------------------

    def _laid_out(
        self, environment: Mapping[str, str], outside: Mapping[str, str], granted: Granted
    ) -> list[str]:
        """`outside`: the variables with which programs are run outside."""
        home = self._home
        made = [
            self._program, "--die-with-parent", "--new-session", "--unshare-user-try",
            "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            "--unshare-net", "--cap-drop", "ALL",
        ]  # fmt: skip
        for folder in _MADE_ANEW:
            made += ["--tmpfs", str(folder)]
        for folder in toolchains.SYSTEM:
            made += ["--ro-bind-try", str(folder), str(folder)]
        made += ["--dev", "/dev", "--proc", "/proc"]
        own_home = home.is_dir() and not self._shows_home(self._roots)
        if own_home:
            made += ["--tmpfs", str(home)]
        above = git_folders.enclosing(self._first, home)
        seen = {*toolchains.visible(environment, home), *granted.read}
        if above is not None:
            seen.add(above[0])
        if self._egress is not None:
            seen |= {Path(sys.prefix), Path(sys.base_prefix)}
        tools = sorted(seen, key=lambda path: len(path.parts))
        for path in tools:
            if not any(_within(path, folder) for folder in toolchains.SYSTEM):
                made += ["--ro-bind-try", str(path), str(path)]
                if _within(home, path):
                    made += self._without_dotted()
        for root in self._roots:
            made += ["--bind", str(root), str(root)]
            if _within(home, root):
                made += self._without_dotted()
                for path in tools:
                    if home in path.parents:
                        made += ["--ro-bind-try", str(path), str(path)]
        made += self._held(above, outside)
        made += _masks((*granted.hidden, *toolchains.private_in_etc()), self._roots)
        made += self._git_settings(outside)
        if self._egress is not None:
            made += ["--bind", str(self._egress), str(_SOCKET)]
            made += ["--ro-bind", str(_RELAY), str(_RELAY_INSIDE)]
        for closed in (*self._closed, *((home,) if own_home else ()), Path("/")):
            made += ["--remount-ro", str(closed)]
        return made

    def _shows_home(self, places: Iterable[Path]) -> bool:
        return any(_within(self._home, place) for place in places)

    def _dotted(self) -> list[Path]:
        """What a shell or another program would take for the person's, if the home is writable."""
        found = toolchains.private_in_home(self._home) if self._shows_home(self._roots) else ()
        return [path for path in found if not _is_placeholder(path)]

    def _without_dotted(self) -> list[str]:
        """Hides what begins with a dot in a home that was bound."""
        made: list[str] = []
        for path in toolchains.private_in_home(self._home):
            real = Path(os.path.realpath(path))
            if not real.exists() or self._shows_home([real]):
                continue
            self._hidden.append(real)
            if real.is_dir():
                made += ["--tmpfs", str(real)]
                self._closed.append(real)
            else:
                made += ["--ro-bind", "/dev/null", str(real)]
        return made

    def _is_hidden(self, path: Path) -> bool:
        around = [hidden for hidden in self._hidden if _within(path, hidden)]
        return bool(around) and not any(
            _within(path, root) and any(_within(root, hidden) for hidden in around)
            for root in self._roots
        )

    def _held(self, above: tuple[Path, Path] | None, environment: Mapping[str, str]) -> list[str]:
        """What programs obey, in its place."""
        made: list[str] = []
        found = [*self._before.repositories, *((above[1],) if above else ())]
        every = dict.fromkeys(
            part for one in found if not self._is_hidden(one) for part in git_folders.parts_of(one)
        )
        for repository in sorted(every, key=lambda path: len(path.parts)):
            made += self._shadowed(repository)
        obeyed = [path for path in self._before.obeyed if not self._is_hidden(path)]
        apart = [
            path
            for path in obeyed
            if path not in every and not path.is_symlink() and path.parent not in every
        ]
        apart.sort(key=lambda path: (not is_known(path.name, path.parent.name), len(path.parts)))
        for path in apart[:_MOST_APART]:
            made += ["--ro-bind", str(path), str(path)]
        self._watched = WatchedSettings(apart[_MOST_APART:])
        around = above[0] if above else None
        self._named = named(obeyed, self._roots, around, environment)
        for held in self._named:
            real = held.real
            if held.identity is None or self._is_hidden(real) or real in held.path.parents:
                continue
            if any(root in real.parents for root in self._roots):
                made += ["--ro-bind", str(real), str(real)]
        for root in self._roots:
            for name in (GIT, *SETTINGS):
                place = root / name
                free = not os.path.lexists(place) or _is_placeholder(place)  # a crash left one
                if free and (name != GIT or above is None):
                    with contextlib.suppress(OSError):
                        place.mkdir(exist_ok=True)
                        place.chmod(_PLACEHOLDER)
                        self._placeholders.append(place)
                        made += ["--ro-bind", str(place), str(place)]
        return made

    def _shadowed(self, repository: Path) -> list[str]:
        """A git directory; one that can't be written to is as it is, but for credentials in it."""
        try:
            shadow = GitShadow(repository)
        except OSError:
            made = ["--ro-bind-try", str(repository), str(repository)]
            for name in ("config", "config.worktree"):
                with contextlib.suppress(OSError):
                    content = without_credentials((repository / name).read_bytes())
                    copy = Path(self._folder.name) / f"config-{len(self._copies)}"
                    copy.write_bytes(content)
                    self._copies.append(copy)
                    made += ["--ro-bind", str(copy), str(repository / name)]
            return made
        self._shadows.append(shadow)
        return list(shadow.mounts())

    def _git_settings(self, environment: Mapping[str, str]) -> list[str]:
        """The person's own git settings, as a file inside; their credentials are not among them."""
        kept = ["[gc]\n\tauto = 0\n"]
        made: list[str] = []
        for entry in _asked(["git", "config", "--global", "--list", "--null"], environment):
            name, _, value = entry.partition("\n")
            if name in _GIT_SETTINGS:
                section, _, last = name.partition(".")
                quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                kept.append(f'[{section}]\n\t{last} = "{quoted}"\n')
                if name == "core.excludesfile":
                    ignored = str(Path(value).expanduser())
                    made += ["--ro-bind-try", ignored, ignored]
        file = Path(self._folder.name) / "gitconfig"
        file.write_text("".join(kept), errors="surrogateescape")
        return [*made, "--ro-bind", str(file), GIT_CONFIG]


def home_of(environment: Mapping[str, str]) -> Path:
    """The person's home."""
    return Path(environment.get("HOME") or Path.home())


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _is_placeholder(path: Path) -> bool:
    """Whether a folder is one of ours, of this session or another: empty, so that nothing obeys."""
    found = path.lstat()
    ours = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == _PLACEHOLDER
    return ours and not any(path.iterdir())


def _masks(secrets: Iterable[Path], roots: Sequence[Path]) -> list[str]:
    made: list[str] = []
    for secret in secrets:
        if any(_within(root, secret) for root in roots):
            continue
        if secret.is_dir():
            made += ["--tmpfs", str(secret), "--remount-ro", str(secret)]
        elif secret.exists():
            made += ["--ro-bind", "/dev/null", str(secret)]
    return made


def _asked(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    try:
        done = subprocess.run(  # noqa: S603
            command, env=dict(environment), capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [part for part in done.stdout.decode(errors="surrogateescape").split("\0") if part]


def may_be_settings(name: str) -> str | None:
    """Why what is called so may be settings, though that name is not known; None: it is none."""
    allowed = "(sandbox.write in the person's own settings lets commands write it)"
    if may_tell(name):
        return f"it says what programs start or permit {allowed}"
    return f"what begins with a dot may be settings {allowed}" if name.startswith(".") else None


def _put_aside(path: Path, why: str = "programs outside would obey it") -> str:
    """Renames and closes what programs would obey, or may."""
    if not is_known(path.name, path.parent.name):
        why = may_be_settings(path.name) or why
    # A name may be as long as names can be.
    name = os.fsdecode(os.fsencode(path.name)[:_LONGEST])
    number, aside = 0, path.with_name(name + ASIDE)
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{name}{ASIDE}-{number}")
    try:
        mode = stat.S_IMODE(path.parent.stat().st_mode)
        if not mode & stat.S_IWUSR:  # as the command left it
            path.parent.chmod(mode | stat.S_IRWXU)
        path.rename(aside)
        if not aside.is_symlink():
            aside.chmod(0)
    except OSError as error:
        return f"could not be put aside: {path} ({error.strerror}); look at it before you run git"
    return f"put aside, since {why}: {path} is now {aside.name}"
