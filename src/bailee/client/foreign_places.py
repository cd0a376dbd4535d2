"""Where other agents keep what, file by file: which of it is somebody's words, which is not. Pure.

Rules kept here:

* Every file that an agent leaves is in this list. `FileGroup` and `Database` are what is forgotten
  on time; `Stays` is what holds no word of a conversation, each with what it is. A test lets the
  newest version of each work in an empty environment, and fails for a file that is neither.
* What a person wrote or chose to have remembered (settings, commands, memories) is theirs, and
  stays until they delete it.
* In the folder for temporary files, which others use too, only files of one's own count.

Facts about each agent: docs/guides/run.md.
Rows: R3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bailee.client.foreign_databases import Database
from bailee.client.foreign_records import CutOut, cut_aider, cut_array, cut_lines


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files of one kind. `pattern` is below the agent's folder. With `cut`, records are cut out;
    without, whole files and folders go. `beside`: folders (below the agent's) in which what begins
    with a forgotten session's name goes too. `but`: names that are not meant. `sessions`: each is
    one session, which can be kept.
    """

    pattern: str
    cut: CutOut | None = None
    beside: tuple[str, ...] = ()
    by_file_time: bool = False
    but: tuple[str, ...] = ()
    sessions: bool = False


@dataclass(frozen=True, slots=True)
class Stays:
    """Files that hold no word of a conversation, and what they are."""

    pattern: str
    what: str


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """A folder of an agent's, and what lies below it. `shared`: others put files there too."""

    folder: Path
    kinds: tuple[FileGroup | Database, ...]
    stays: tuple[Stays, ...] = ()
    shared: bool = False


def groups(
    agent: str, home: Path, project: Path, environment: Mapping[str, str]
) -> list[AgentPlace]:
    """The places of an agent; none for one that is not known."""
    made = _PLACES.get(agent)
    return [] if made is None else made(home, project, environment)


def _claude(home: Path, _project: Path, environment: Mapping[str, str]) -> list[AgentPlace]:
    given = environment.get("CLAUDE_CONFIG_DIR")
    folder = Path(given or home / ".claude")
    settings = Stays(".claude.json*", "settings, and which questions were answered")
    return [
        AgentPlace(folder, _CLAUDE, (*_CLAUDE_STAYS, settings)),
        AgentPlace(home, (), (settings,)),
        AgentPlace(
            _temporary(environment, "CLAUDE_CODE_TMPDIR"),
            (FileGroup("claude-*/*/*", by_file_time=True),),
            (Stays("cc-socks/*", "sockets of running sessions"),),
            shared=True,
        ),
    ]


def _codex(home: Path, _project: Path, environment: Mapping[str, str]) -> list[AgentPlace]:
    folder = Path(environment.get("CODEX_HOME") or home / ".codex")
    database = Path(environment.get("CODEX_SQLITE_HOME") or folder)
    return [
        AgentPlace(folder, _CODEX, _CODEX_STAYS),
        AgentPlace(database, _CODEX_DATABASES),
        AgentPlace(
            _temporary(environment),
            (),
            (Stays("codex-bwrap-*/lock", "its sandbox's lock"),),
            shared=True,
        ),
    ]


def _opencode(home: Path, _project: Path, environment: Mapping[str, str]) -> list[AgentPlace]:
    def of(variable: str, otherwise: str) -> Path:
        return Path(environment.get(variable) or home / otherwise) / "opencode"

    return [
        AgentPlace(of("XDG_DATA_HOME", ".local/share"), _OPENCODE, _OPENCODE_STAYS),
        AgentPlace(of("XDG_STATE_HOME", ".local/state"), _OPENCODE_STATE, _OPENCODE_STATE_STAYS),
        AgentPlace(of("XDG_CONFIG_HOME", ".config"), (), (Stays("**/*", "settings"),)),
        AgentPlace(
            of("XDG_CACHE_HOME", ".cache"), (), (Stays("**/*", "programs and lists it fetched"),)
        ),
        AgentPlace(
            _temporary(environment),
            (FileGroup("opencode/*", by_file_time=True),),
            (Stays(".*.so", "a library of its own, unpacked"),),
            shared=True,
        ),
    ]


def _gemini(home: Path, _project: Path, environment: Mapping[str, str]) -> list[AgentPlace]:
    temporary = tuple(FileGroup(pattern, by_file_time=True) for pattern in _GEMINI_TEMPORARY)
    return [
        AgentPlace(home / ".gemini", _GEMINI, _GEMINI_STAYS),
        AgentPlace(_temporary(environment), temporary, shared=True),
    ]


def _aider(home: Path, project: Path, _environment: Mapping[str, str]) -> list[AgentPlace]:
    return [
        AgentPlace(project, _AIDER, (Stays(".aider.tags.cache.v*/**/*", "names in the code"),)),
        AgentPlace(home, (), (Stays(".aider/**/*", "settings, lists of models and prices"),)),
    ]


def _temporary(environment: Mapping[str, str], *names: str) -> Path:
    for name in (*names, "TMPDIR", "TMP", "TEMP"):
        if environment.get(name):
            return Path(environment[name])
    return Path("/tmp")  # noqa: S108 - where these programs put theirs


def _old(*patterns: str) -> tuple[FileGroup | Database, ...]:
    return tuple(FileGroup(pattern, by_file_time=True) for pattern in patterns)


_BESIDE: Final = (
    *("file-history", "todos", "session-env", "tasks", "debug", "image-cache", "uploads"),
)
_CLAUDE: Final = (
    FileGroup("projects/*/*.jsonl", beside=_BESIDE, sessions=True),
    FileGroup("history.jsonl", cut_lines),
    # A session's folder whose transcript is not there, and what else there may be.
    FileGroup("projects/*/*", by_file_time=True, but=("memory",)),
    FileGroup("telemetry/*"),
    *_old(*(f"{name}/*" for name in _BESIDE)),
    *_old("paste-cache/*", "shell-snapshots/*", "plans/*", "usage-data/*", "dump-prompts/*"),
    *_old("feedback/*", "feedback-bundles/*", "traces/*", "shares/*", "jobs/*", "teams/*/inboxes"),
    *_old("sessions/*", "startup-perf/*", "state/*", "ccr/*", "daemon.log"),
)
_CLAUDE_STAYS: Final = (
    Stays("settings*.json", "settings"),
    Stays("backups/*", "settings as they were"),
    Stays("plugins/**/*", "plugins"),
    Stays("projects/*/memory/*", "what a person has it remember"),
    Stays("cache/**/*", "lists it fetched"),
    Stays("statsig/*", "switches of its vendor's"),
    Stays(".*", "marks of its own upkeep"),
)
_CODEX: Final = (
    FileGroup("sessions/*/*/*/rollout-*.jsonl", sessions=True),
    FileGroup("archived_sessions/rollout-*.jsonl", sessions=True),
    FileGroup("history.jsonl", cut_lines),
    *_old("log/*", "shell_snapshots/*", "tmp/*", ".tmp/*", "attachments/*", "generated_images/*"),
)
_CODEX_STAYS: Final = (
    Stays("config.toml", "settings"),
    Stays("auth.json", "the sign-in"),
    Stays("installation_id", "a number of its own"),
    Stays(".sandbox_migration", "a mark of its own upkeep"),
    Stays("thread-writer-locks/*", "locks"),
    Stays("skills/.system/**/*", "instructions that came with it"),
    Stays("version.json", "which version there is"),
    Stays("models_cache.json", "a list of models"),
)
_THREAD: Final = frozenset({"thread_id", "child_thread_id", "parent_thread_id"})
_CODEX_DATABASES: Final = (
    Database("state_*.sqlite", _THREAD, (("threads", "id", "updated_at"),), (("threads", "id"),),
             folders=("threads", "id", "cwd")),
    Database("thread_history_*.sqlite", _THREAD, (("thread_items", "thread_id", "created_at_ms"),)),
    Database("goals_*.sqlite", _THREAD, (("thread_goals", "thread_id", "updated_at_ms"),)),
    Database("queue_*.sqlite", _THREAD, (("queued_items", "thread_id", "updated_at_ms"),)),
    Database("memories_*.sqlite", _THREAD, (("stage1_outputs", "thread_id", "source_updated_at"),)),
    Database("logs_*.sqlite", frozenset(), (), log=("logs", "ts")),
)  # fmt: skip
_OPENCODE: Final = (
    Database(
        "opencode*.db",
        frozenset({"session_id", "aggregate_id"}),
        (
            ("session", "id", "time_updated"),
            ("message", "session_id", "time_updated"),
            ("part", "session_id", "time_updated"),
            ("session_message", "session_id", "time_updated"),
        ),
        (("session", "id"),),
        parents=("session", "id", "parent_id"),
        folders=("session", "id", "directory"),
    ),
    *_old("storage/session_diff/*", "snapshot/*/*", "tool-output/*", "log/*", "plans/*"),
)
_OPENCODE_STAYS: Final = (
    Stays("auth.json", "the sign-in"),
    Stays("bin/**/*", "programs it fetched"),
    Stays("repos/**/*", "repositories it fetched"),
    Stays("storage/migration", "a mark of its own upkeep"),
)
_OPENCODE_STATE: Final = _old(
    "prompt-history.jsonl", "prompt-stash.jsonl", "frecency.jsonl", "locks/*"
)
_OPENCODE_STATE_STAYS: Final = (
    Stays("kv.json", "how its screen looks"),
    Stays("model.json", "which model was chosen"),
)
_GEMINI: Final = (
    FileGroup("tmp/*/chats/*.jsonl", sessions=True),
    FileGroup("tmp/*/chats/*.json", sessions=True),
    FileGroup("tmp/*/chats/*/*.jsonl"),  # its agents', by the session that called them
    FileGroup("tmp/*/logs.json", cut_array),
    *_old("tmp/*/checkpoint*.json", "tmp/*/checkpoints/*", "tmp/*/shell_history"),
    *_old("tmp/*/tool-outputs/*", "tmp/*/images/*", "tmp/*/plans/*", "tmp/*/logs/*"),
    *_old("tmp/*/????????-????-????-????-????????????", "tmp/bin/*.log"),
)
_GEMINI_STAYS: Final = (
    Stays("settings.json*", "settings"),
    Stays("installation_id", "a number of its own"),
    Stays("projects.json*", "which folder has which name"),
    Stays("state.json", "which questions were answered"),
    Stays("trustedFolders.json", "settings"),
    Stays("google_accounts.json", "the sign-in"),
    Stays("oauth_creds.json", "the sign-in"),
    Stays("*/*/.project_root", "which folder has which name"),
    Stays("tmp/bin/*", "programs it fetched"),
)
_GEMINI_TEMPORARY: Final = (
    "gemini-client-error-*.json",
    "gemini-cli-tool-modify-*",
    "gemini-shell-*",
    "gemini-heap-*",
)
_AIDER: Final = (
    FileGroup(".aider.chat.history.md", cut_aider),
    FileGroup(".aider.input.history", cut_aider),
    *_old(".aider.llm.history"),
)
_PLACES: Final[Mapping[str, Callable[[Path, Path, Mapping[str, str]], list[AgentPlace]]]] = {
    "claude": _claude,
    "codex": _codex,
    "opencode": _opencode,
    "gemini": _gemini,
    "aider": _aider,
}
