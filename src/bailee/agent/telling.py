"""Whether a document tells a program what to start or what to permit, whatever it is called.

Settings of agents are known by their names and by the dot that they begin with (`obeyed`). Those
that have neither say the same few things: which MCP servers there are, what hooks run, which tools
need no question. In JSON, TOML or YAML that is seen in what they say.

Rules kept here:

* It is the words that count, not what a reader of one format would make of them: comments, commas
  too many and quotes are the reader's own. A key that is written with an escape for a plain letter
  counts, since nothing but hiding needs one.
* What a command wrote is read whole; of what was there before a session, what is not too long.
* A file that has not changed since it was read is not read again.
* In `.env` and its like it is variables by which programs outside run something.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from bailee.agent.obeyed import ASIDE

_LONG: Final = 8_000_000  # bytes of a document that was there before
_LONGEST: Final = 64_000_000  # bytes that are read of one that a command wrote
_REMEMBERED: Final = 200_000  # documents
_FORMATS: Final = (".json", ".jsonc", ".json5", ".toml", ".yaml", ".yml")
# What these may say, a person's own command does: `npm`, `docker compose`, a build.
_PROJECTS: Final = re.compile(
    r"(?:package|composer|deno|manifest)\.json|(?:package|npm-shrinkwrap)-lock\.json"
    r"|(?:pyproject|Cargo)\.toml|(?:docker-)?compose[\w.-]*\.ya?ml|pnpm-(?:lock|workspace)\.yaml"
)
_KEY_ENDS: Final = rb"[\"']?\s*(?:[:=.\]]|/[*/]|#)"  # or a comment stands before that
_IN_A_KEY: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-$")
_STARTS: Final = re.compile(rb"\b(?:command|cmd|url|httpurl|serverurl)" + _KEY_ENDS)
_COMMAND: Final = re.compile(rb"\bcommand" + _KEY_ENDS)
_PERMITS: Final = re.compile(rb"\b(?:allow|deny|ask|bash|edit|defaultmode)" + _KEY_ENDS)
_SERVERS: Final = re.compile(rb"[-_]?servers?" + _KEY_ENDS)
_TABLE: Final = re.compile(rb"\"\s*(?::\s*(?:\{|/[*/])|/[*/])|\s*[.\]]")
_SEVERAL: Final = re.compile(rb"s?" + _KEY_ENDS)
# How a key begins, in small letters; how it goes on; what has to stand behind it, if something.
_SIGNS: Final[tuple[tuple[bytes, re.Pattern[bytes], re.Pattern[bytes] | None], ...]] = (
    (b"mcp", _SERVERS, None),
    (b"context", _SERVERS, None),
    (b"mcp", _TABLE, _STARTS),
    (b"lsp", _TABLE, _STARTS),
    (b"hook", _SEVERAL, _COMMAND),
    (b"permission", _SEVERAL, _PERMITS),
    *((word, re.compile(rb"_?tools" + _KEY_ENDS), None) for word in (b"allowed", b"core")),
    (b"exclude", re.compile(rb"d?_?tools" + _KEY_ENDS), None),
    (b"auto", re.compile(rb"_?approve" + _KEY_ENDS), None),
    (b"always", re.compile(rb"_?allow" + _KEY_ENDS), None),
    (b"approval", re.compile(rb"_?(?:mode|policy)" + _KEY_ENDS), None),
    (b"api", re.compile(rb"_?key_?helper" + _KEY_ENDS), None),
)
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins
_ESCAPES: Final = (b"\\u00", b"\\u{", b"\\x", b"\\u000000")
_ESCAPED: Final = re.compile(rb"\\(?:u00[0-7]|u\{|x[0-7]|u000000[0-7])[^\"'\n]{0,80}[\"']\s*[:=]")
_ENVIRONMENT: Final = re.compile(r"\.env(?:\..*)?")
_RUNS: Final = re.compile(
    rb"^\s*(?:export\s+)?(?:AIDER_\w+|GEMINI_(?!API_KEY|MODEL)\w+|\w+_(?:CMD|COMMAND|EDITOR|PAGER"
    rb"|HOOKS?|SETTINGS_PATH|ASKPASS)|EDITOR|VISUAL|PAGER|SHELL|BASH_ENV|PATH"
    rb"|LD_(?:PRELOAD|LIBRARY_PATH|AUDIT)|NODE_OPTIONS|PYTHON(?:PATH|STARTUP|HOME)|PERL5\w+"
    rb"|RUBYOPT|JAVA_TOOL_OPTIONS|GIT_(?:SSH|EXTERNAL_DIFF|TEMPLATE_DIR|CONFIG\w*|DIR|EXEC_PATH)"
    rb")\s*=",
    re.MULTILINE,
)
_known: dict[tuple[bool, int, int, int, int], bool] = {}


def may_tell(name: str) -> bool:
    """Whether a file that is called so is looked into."""
    if name.endswith(_FORMATS):
        return _PROJECTS.fullmatch(name) is None
    return _ENVIRONMENT.fullmatch(name) is not None and ASIDE not in name


def tells(name: str, content: bytes) -> bool:
    """Whether a document that is called so tells a program what to start or to permit."""
    if not may_tell(name):
        return False
    if _ENVIRONMENT.fullmatch(name):
        return _RUNS.search(content) is not None
    if content[:2] in _WIDE:
        content = content.decode("utf-16", "replace").encode()
    text = content.lower()
    last: dict[re.Pattern[bytes], int] = {}
    for begins, goes_on, behind in _SIGNS:
        at = -1
        while (at := text.find(begins, at + 1)) >= 0:
            end = at + len(begins)
            if (at and text[at - 1] in _IN_A_KEY) or goes_on.match(text, end) is None:
                continue
            if goes_on is _TABLE and text[max(0, at - 64) : at].rstrip()[-1:] not in b'"[.':
                continue
            if behind is None:
                return True
            if behind not in last:
                last[behind] = max((one.start() for one in behind.finditer(text)), default=-1)
            if last[behind] < end:
                break
            return True
    return any(_is_hidden(text, escape) for escape in _ESCAPES)


def _is_hidden(text: bytes, escape: bytes) -> bool:
    """Whether a key is written with an escape for a plain letter."""
    at = -1
    while (at := text.find(escape, at + 1)) >= 0:
        if _ESCAPED.match(text, at):
            return True
    return False


def file_tells(path: Path, *, whole: bool) -> bool:
    """`tells`, of a file or what a link leads to; what can't be read tells nothing. `whole`: all of
    it, however long it is; what is longer than `_LONGEST` counts. Blocks.
    """
    with contextlib.suppress(OSError, ValueError):
        variables = _ENVIRONMENT.fullmatch(path.name) is not None
        if (said := _known.get(_state(path.stat(), variables))) is not None:
            return said
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(opened, "rb", buffering=0) as file:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                return False
            if found.st_size <= (_LONGEST if whole else _LONG):
                said = tells(path.name, file.read(found.st_size))
            else:
                said = whole
        if len(_known) >= _REMEMBERED:
            _known.clear()
        _known[_state(found, variables)] = said
        return said
    return False


def _state(found: os.stat_result, variables: bool) -> tuple[bool, int, int, int, int]:
    """What is another once a file's content is; `variables`: it is read as such."""
    return variables, found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size
