"""What of a git directory is data, and may come out of the sandbox. Pure.

A git directory holds data (objects, refs, the index, where a merge stands) and what git obeys
(configuration, hooks, where other parts of it lie). A command gets a git directory in which it can
write everything; what comes back is what this module knows as data, by name and form. A name that
it does not know stays inside.

Standard: gitrepository-layout(5); git-rebase's todo list; packed-refs of git's files backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bailee.agent import git_index

LIVE: Final = ("objects", "refs", "logs", "lfs")
"""Folders that a command writes to as they are: nothing in them is run or read as configuration.
What git would follow elsewhere from there, or wait for, does not stay (`git_shadow`).
"""
PACKED: Final = "packed-refs"
FOLDERS: Final = frozenset({"rebase-merge", "rebase-apply", "sequencer"})
"""Folders of plain files that say where a rebase or a cherry-pick stands."""
_FILES: Final = re.compile(
    r"HEAD|config(?:\.worktree)?|index|sharedindex\.[0-9a-f]{40,64}|shallow|AUTO_MERGE|MERGE_(?:MSG|MODE|RR)|SQUASH_MSG"
    r"|(?:ORIG|FETCH|MERGE|CHERRY_PICK|REVERT|REBASE)_HEAD|(?:COMMIT|TAG|NOTES)_EDITMSG"
)
_HEAD: Final = re.compile(rb"(?:ref: refs/[^\0\r\n]+|[0-9a-f]{40,64})\n?")
_TODO: Final = re.compile(
    r"\s*(?:#.*|(?:pick|p|reword|r|edit|e|squash|s|fixup|f|drop|d|noop|label|l|reset|t|merge|m"
    r"|update-ref|u|break|b|revert)(?:\s.*)?)?"
)
_STRATEGY: Final = re.compile(rb"\s*(?:ort|recursive|resolve|octopus|ours|subtree)?\s*")
_OPTIONS: Final = re.compile(
    rb"(?:\s*\[options\]\s*|\s*(?:strategy = (?:ort|recursive|resolve|octopus|ours|subtree)"
    rb"|(?!strategy\b|gpg-sign\b)[a-z-]+ = [\w=.-]*)\n)*"
)
_LOGIN: Final = re.compile(rb"\b(https?|ftps?)://[^/\s\"@]+@", re.IGNORECASE)
_SECRET: Final = re.compile(
    rb"^(\s*(?:\[[^\]\n]*\]\s*)?(?:[\w-]*(?:extraheader|pass|password|token|secret|apikey)|helper)"
    rb"[^\S\n]*=)(?:\\\r?\n|[^\n])*",
    re.IGNORECASE | re.MULTILINE,
)
_REF: Final = re.compile(rb"([0-9a-f]{40,64}) (refs/[^\0\r\n ]+)\n((?:\^[0-9a-f]{40,64}\n)?)")


def is_file(name: str) -> bool:
    """Whether a command gets a copy of a file of that name, at the top of a git directory. That of
    the configuration stays inside.
    """
    return _FILES.fullmatch(name) is not None


def may_come_out(name: str, content: bytes | None) -> bool:
    """Whether a file is data, and what its name says; `name` may be `folder/name`. `content` None:
    it is to go.
    """
    folder, _, last = name.rpartition("/")
    if folder:
        if folder not in FOLDERS or "/" in last:
            return False
        if content is None:
            return True
        if last == "strategy":
            return _STRATEGY.fullmatch(content) is not None
        if last == "opts":  # a strategy is a program's name
            return _OPTIONS.fullmatch(content) is not None
        if last.startswith("git-rebase-todo"):  # `exec` lines are run by whoever goes on with it
            lines = content.decode("utf-8", "replace").split("\n")
            return all(_TODO.fullmatch(line) for line in lines)
        return True
    if not is_file(name) or name.startswith("config"):
        return False
    if name == "HEAD":
        return content is not None and _HEAD.fullmatch(content) is not None
    if name == "MERGE_RR":  # git copies what it names, from anywhere, and writes there
        return not content
    return content is None or "index" not in name or git_index.is_fine(content)


def without_credentials(content: bytes) -> bytes:
    """A configuration without what gets its reader in elsewhere: logins in addresses, headers and
    the like that are sent along.
    """
    return _SECRET.sub(rb"\1", _LOGIN.sub(rb"\1://", content))


def packed_refs(base: bytes, mine: bytes, theirs: bytes) -> bytes:
    """`theirs` with the changes that lead from `base` to `mine`, ref by ref: packed-refs of a git
    directory that changed outside too. What is not well-formed in `mine` is no change.
    """
    before, after, made = _refs(base), _refs(mine), _refs(theirs)
    changed = {ref: held for ref, held in after.items() if before.get(ref) != held}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return theirs
    made = {ref: held for ref, held in {**made, **changed}.items() if ref not in gone}
    lines = (held[0] + b" " + ref + b"\n" + held[1] for ref, held in sorted(made.items()))
    return b"# pack-refs with: sorted \n" + b"".join(lines)


def _refs(content: bytes) -> Mapping[bytes, tuple[bytes, bytes]]:
    return {found[2]: (found[1], found[3]) for found in _REF.finditer(content)}
