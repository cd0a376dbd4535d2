"""Where settings lie on this machine, and reading them.

Rules kept here:

* The managed file is `/etc/bailee/settings.json`. `BAILEE_MANAGED_SETTINGS` names one more, which
  is read besides it and never instead of it: a variable can't get rid of what is managed.
* What is not there says nothing. What is there and can't be read is a source with trouble, which
  `settings` takes as a wish for privacy.
* Of Claude Code's own settings files the `env` blocks are read, for switches only: who has checked
  `DISABLE_TELEMETRY` into `.claude/settings.json` has said what they want.
* A project is the folder, or the nearest one above it, that holds `.bailee`, `.claude` or `.git`.
  It may lie in others: a package in a repository, a submodule in what it belongs to. What their
  files say about privacy holds in it too. Nothing above the person's home is asked, and nothing
  that somebody else can have put there.

Rows: S6.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from platformdirs import user_config_path, user_data_path

from bailee.client.setting_keys import CHOICES
from bailee.client.settings import ClientSettings, SettingSource, from_environment, merge, parse
from bailee.errors import InputError
from bailee.policy import Policy
from bailee.records import dataclass

MANAGED: Final = Path("/etc/bailee/settings.json")
MANAGED_CLAUDE: Final = Path("/etc/claude-code/managed-settings.json")
_MORE_MANAGED_CLAUDE: Final = Path("/etc/claude-code/managed-settings.d")
LARGEST: Final = 1024 * 1024
_MARKS: Final = (".bailee", ".claude", ".git")


@dataclass(frozen=True, slots=True)
class Places:
    """Every place settings may stand in, each with its scope; `borrowed`: Claude Code's files;
    `proposing`: a project's list of MCP servers.
    """

    own: tuple[tuple[str, Path], ...]
    borrowed: tuple[tuple[str, Path], ...]
    proposing: tuple[tuple[str, Path], ...] = ()


def project_of(folder: Path) -> Path:
    """The project a folder belongs to: the nearest one upwards that is marked, else itself."""
    folder = folder.absolute()
    home = Path.home()
    for place in (folder, *folder.parents):
        if place == home:
            break  # ~/.claude and ~/.bailee are the person's own, not a project's
        if _marked(place) and (place == folder or not _anybodys(place)):
            return place
    return folder


def projects_of(folder: Path) -> tuple[Path, ...]:
    """The projects that a folder lies in, nearest first: its own, and those around it."""
    nearest, home = project_of(folder), Path.home()
    found = [nearest]
    for place in nearest.parents:
        if home in (place, nearest):
            break
        if _marked(place) and not _anybodys(place):
            found.append(place)
    return tuple(found)


def _marked(place: Path) -> bool:
    for mark in _MARKS:
        with suppress(OSError):  # a folder that can't be entered shows no mark
            if (place / mark).exists():
                return True
    return False


def _anybodys(place: Path) -> bool:
    """Whether everybody puts things of their own into a folder, as into /tmp."""
    shared = stat.S_IWOTH | stat.S_ISVTX
    try:
        return place.stat().st_mode & shared == shared
    except OSError:
        return True


def project_days(folder: Path, most: int) -> tuple[int, str] | None:
    """For how many days the files of a folder's projects keep transcripts, and the project that
    says so: the smallest number counts. What is no such number says nothing here. Where a link
    leads to the folder, the projects that it leads into count too.
    """
    found = []
    ways = (folder, Path(os.path.realpath(folder)))
    for project in dict.fromkeys(one for way in ways for one in projects_of(way)):
        for name in ("settings.local.json", "settings.json"):
            with suppress(OSError):
                content = content_of(project / ".bailee" / name)
                said = parse("project", name, content or b"").values or {}
                days = said.get("cleanupPeriodDays")
                if type(days) is int and 0 <= days <= most:
                    found.append((days, str(project)))
    return min(found, default=None)


def places(folder: Path, environment: Mapping[str, str] = os.environ) -> Places:
    """The places for work in `folder`."""
    projects = projects_of(folder)
    extra = environment.get("BAILEE_MANAGED_SETTINGS")
    config = user_config_path("bailee", appauthor=False)
    return Places(
        own=(
            ("managed", MANAGED),
            *((("managed", Path(extra)),) if extra else ()),
            *(("project local", one / ".bailee" / "settings.local.json") for one in projects),
            *(("project", one / ".bailee" / "settings.json") for one in projects),
            ("user", config / "settings.json"),
        ),
        borrowed=(
            ("managed", MANAGED_CLAUDE),
            *(("managed", one) for one in sorted(_MORE_MANAGED_CLAUDE.glob("*.json"))),
            *(("project local", one / ".claude" / "settings.local.json") for one in projects),
            *(("project", one / ".claude" / "settings.json") for one in projects),
            ("user", Path.home() / ".claude" / "settings.json"),
        ),
        proposing=(("project", projects[0] / ".mcp.json"),),
    )


def sources(where: Places) -> Iterator[SettingSource]:
    """What is said in the files that are there."""
    for group, borrowed in ((where.own, False), (where.borrowed, True)):
        for scope, path in group:
            try:
                content = content_of(path)
            except (FileNotFoundError, NotADirectoryError):
                if path.is_symlink():  # somebody put settings there, which can't be seen now
                    yield SettingSource(
                        scope, str(path), None, "is a link that leads nowhere", borrowed
                    )
                continue
            except OSError as error:
                why = f"can't be read ({error.strerror})"
                yield SettingSource(scope, str(path), None, why, borrowed)
                continue
            if content is None:
                yield SettingSource(scope, str(path), None, "is no ordinary file", borrowed)
            elif len(content) > LARGEST:
                yield SettingSource(scope, str(path), None, "is too large for settings", borrowed)
            else:
                yield parse(scope, str(path), content, borrowed=borrowed)


def proposals(where: Places) -> Iterator[SettingSource]:
    """What a project would like. What can't be read is no wish."""
    for scope, path in where.proposing:
        try:
            content = content_of(path)
        except OSError:
            continue
        if content is not None and len(content) <= LARGEST:
            yield replace(parse(scope, str(path), content), proposing=True)


def content_of(path: Path) -> bytes | None:
    """A file's beginning; None for what is no file. Waits for nobody, as a pipe would have it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(LARGEST + 1)


def given(option: str) -> SettingSource:
    """The value of `--settings`: a JSON object, or a file that holds one.

    Raises:
        InputError: code `configuration`; what a person has just typed is refused, not guessed at.
    """
    if option.lstrip().startswith("{"):
        found = parse("command line", "--settings", option.encode())
    else:
        path = Path(option)
        try:
            found = parse("command line", str(path), content_of(path) or b"")
        except OSError as error:
            raise InputError(
                f"--settings {path} can't be read: {error.strerror}.",
                code="configuration",
                hint="give a file, or a JSON object",
            ) from None
    if found.trouble is not None:
        raise InputError(
            f"{found.place} {found.trouble}.",
            code="configuration",
            hint='like --settings \'{"env": {"DISABLE_TELEMETRY": "1"}}\'',
        )
    return found


def read(
    policy: Policy,
    folder: Path,
    *,
    option: str | None = None,
    environment: Mapping[str, str] = os.environ,
    choices: bool = True,
) -> ClientSettings:
    """What holds for work in `folder`; without `choices`, but for the person's own word on single
    flows. Raises `InputError` for a wrong `option` only.
    """
    where = places(folder, environment)
    found = [from_environment(environment), *sources(where), *proposals(where)]
    if option is not None:
        found.append(given(option))
    if choices:
        found += _choices(data_folder())
    document = policy.document
    selectors = {p.selected_by for p in document.providers.values() if p.selected_by}
    offs = {name for flow in document.flows.values() for name in flow.switches}
    return merge(
        found,
        switches=frozenset(document.switches),
        private=frozenset(offs - selectors),
        most_days=document.local_transcripts.max_days,
    )


def _choices(folder: Path) -> Iterator[SettingSource]:
    """What the person turned off by name, where they ever did."""
    if os.path.lexists(folder / CHOICES):
        from bailee.client.flow_choices import FlowChoices

        chosen = FlowChoices(folder).source()
        if chosen is not None:
            yield chosen


def data_folder() -> Path:
    """Where the client keeps what it keeps on this machine."""
    return user_data_path("bailee", appauthor=False) / "client"
