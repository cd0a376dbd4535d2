"""Reading a shell command line well enough to match rules with it. Pure.

This is no shell parser, and does not have to be: it says of a line either "these commands, and
nothing else", or "not plain". It errs to "not plain" whenever the shell might do more than the
words say: substitutions, expansions at the start of a command, redirections into files,
assignments, functions, groups, here documents, comments, escapes, newlines within quotes.
"""

from __future__ import annotations

import re
from typing import Final

from bailee.records import dataclass

# Programs whose first words say nothing of what they will do.
_RUNS_ANYTHING: Final = frozenset(
    {
        "bash", "sh", "zsh", "dash", "fish", "ksh", "csh", "tcsh", "sudo",
        "doas", "su", "env", "xargs", "eval", "exec", "source", ".", "command",
        "builtin", "nice", "nohup", "time", "timeout", "setsid", "stdbuf", "watch", "parallel",
        "find", "fd", "awk", "gawk", "mawk", "sed", "perl", "python", "python2",
        "python3", "ruby", "node", "deno", "bun", "lua", "php", "ssh", "scp",
        "rsync", "tar", "docker", "podman", "chroot", "unshare", "nsenter", "bwrap", "strace",
        "gdb", "vi", "vim", "ed", "ex", "emacs", "less", "more", "man",
        "tee", "dd", "rm", "mv", "cp", "ln", "chmod", "chown", "kill",
        "pkill", "killall", "crontab", "at", "curl", "wget", "nc", "ncat", "socat",
        "busybox", "toybox", "ionice", "flock", "script", "trap", "alias", "chrt", "taskset",
        "unbuffer", "entr", "expect", "runuser", "pkexec", "systemd-run", "npx", "bunx", "uvx",
    }
)  # fmt: skip
# Programs that are many programs: the second word says which.
_HAS_COMMANDS: Final = frozenset(
    {
        "git", "npm", "pnpm", "yarn", "npx", "cargo", "go", "make", "just",
        "rake", "uv", "pip", "pip3", "poetry", "hatch", "tox", "nox", "bundle",
        "gem", "kubectl", "helm", "terraform", "gh", "glab", "apt", "apt-get", "brew",
        "dotnet", "mvn", "gradle", "bazel", "conda", "mix", "stack",
    }
)  # fmt: skip
_RUNS_WHAT_FOLLOWS: Final = frozenset({("npm", "exec"), ("uv", "run"), ("poetry", "run"),
    ("bundle", "exec"), ("go", "run"), ("pnpm", "exec"), ("pnpm", "dlx"), ("yarn", "dlx"),
    ("cargo", "run"), ("git", "config"), ("conda", "run"), ("hatch", "run"),
    ("stack", "exec"), ("git", "bisect"), ("git", "submodule"), ("git", "difftool"),
    ("git", "filter-branch")})  # fmt: skip
# Options of git's commands that write a file, run a program or read outside the repository. Long
# ones may be cut short; the short ones mean this for some commands alone.
_REACHING: Final = (
    *("--exec", "--ext-diff", "--no-index", "--open-files-in-pager", "--output"),
    *("--output-directory", "--receive-pack", "--upload-pack", "--extcmd", "--template"),
    *("--contents", "--file", "--config", "--separate-git-dir", "--smtp-server", "--sendmail-cmd"),
    *("--to-cmd", "--cc-cmd", "--header-cmd", "--unsafe-paths"),
)
_REACHING_SHORT: Final = {
    "archive": "o", "clone": "uc", "commit": "F", "difftool": "x", "format-patch": "o", "grep": "O",
    "commit-tree": "F", "merge": "F", "notes": "F", "rebase": "x", "tag": "F",
}  # fmt: skip
_RUNS_A_WORD: Final = frozenset({("submodule", "foreach"), ("bisect", "run")})
# Options of git itself that take a word of their own.
_TAKE_A_WORD: Final = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace"})
_SAFE_REDIRECTION: Final = re.compile(r"(?:[012]?>&[12]|[012&]?>>?\s*/dev/null)(?=\s|[;&|]|$)")
_SEPARATOR: Final = re.compile(r"\|\||&&|\|&|[;|&\n]")
_WORD: Final = re.compile(r"[^\s'\"\\`$<>|&;(){}#!~]+")
_SINGLE: Final = re.compile(r"'[^'\n]*'")
_DOUBLE: Final = re.compile(r'"[^"\\`$!\n]*"')
_KEYWORDS: Final = frozenset(
    {
        "if", "then", "else", "elif", "fi", "for", "while", "until", "do",
        "done", "case", "esac", "in", "function", "select", "time", "coproc",
    }
)  # fmt: skip
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9][\w.+:-]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """A command line as words. When `plain` is False, `commands` is the best guess, which may be
    used to deny and never to allow.
    """

    plain: bool
    commands: tuple[tuple[str, ...], ...]


def read(line: str) -> Reading:
    """Reads a command line."""
    commands: list[list[str]] = [[]]
    plain, at, joined = True, 0, False
    while at < len(line):
        char = line[at]
        if char in " \t":
            at, joined = at + 1, False
        elif found := _SAFE_REDIRECTION.match(line, at) if not joined else None:
            at, joined = found.end(), False
        elif found := _SEPARATOR.match(line, at):
            commands.append([])
            at, joined = found.end(), False
        elif found := (_WORD.match(line, at) or _SINGLE.match(line, at) or _DOUBLE.match(line, at)):
            text = found[0][1:-1] if found[0][0] in "'\"" else found[0]
            if joined:
                commands[-1][-1] += text
            else:
                commands[-1].append(text)
            at, joined = found.end(), True
        else:
            plain = False
            if char in "(){}`$":  # what stands inside may be a command of its own
                commands.append([])
                joined = False
            at += 1
    kept = tuple(tuple(words) for words in commands if words)
    odd = any(
        "=" in words[0] or words[0] in _KEYWORDS or "*" in words[0] or "?" in words[0]
        for words in kept
    )
    return Reading(plain and bool(kept) and not odd, kept)


def reaches_further(words: tuple[str, ...], given: int) -> bool:
    """Whether a command, of which `given` words were permitted, has something behind them that
    writes a file, runs a program or reads elsewhere. Known of git's commands; of other programs a
    person permits whatever their options do.
    """
    if words[0].rpartition("/")[2] != "git" or given < 2:
        return False
    at = 1
    while at < len(words) and words[at].startswith("-"):  # options of git itself
        at += 2 if words[at] in _TAKE_A_WORD else 1
    command, rest = words[at : at + 1], words[max(given, at + 1) :]
    if not command:
        return False
    if words[at : at + 2] in _RUNS_A_WORD and given < at + 2:
        return True
    return any(_reaches(word, command[0]) for word in _options(rest)) or (
        # With a path outside it compares any two files.
        command[0] == "diff" and any(w.startswith("/") or ".." in w.split("/") for w in rest)
    )


def _options(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[: words.index("--")] if "--" in words else words


def _reaches(word: str, command: str) -> bool:
    if word[:1] in ("*", "?", "["):  # may become a file's name that is an option
        return True
    name = word.partition("=")[0]
    if word.startswith("--"):
        return len(name) > 2 and (
            any(long.startswith(name) for long in _REACHING) or not {"*", "?", "["}.isdisjoint(name)
        )
    short = _REACHING_SHORT.get(command, "")
    return word.startswith("-") and not set(f"{short}*?[").isdisjoint(word[1:])


def may_run(line: str, words: tuple[str, ...], *, whole: bool = False, depth: int = 4) -> bool:
    """Whether a line may run a command that begins with `words` (or, `whole`, is these), as far as
    can be seen: by any path of the program, behind assignments and what runs other programs, within
    a text that is handed to a shell, within a condition or a loop. To deny, never to allow.
    """
    for command in read(line).commands:
        at = 0
        while at < len(command) and ("=" in command[at] or command[at] in _KEYWORDS):
            at += 1
        rest = command[at:]
        if not rest:
            continue
        tries = [rest]
        if rest[0].rpartition("/")[2] in _RUNS_ANYTHING:
            tries += [rest[start:] for start in range(1, len(rest))]
            nested = [word for word in rest[1:] if not _WORD.fullmatch(word)]
            if depth and any(may_run(w, words, whole=whole, depth=depth - 1) for w in nested):
                return True
        if any(_is(found, words, whole=whole) for found in tries):
            return True
    return False


def _is(found: tuple[str, ...], words: tuple[str, ...], *, whole: bool) -> bool:
    first = found[0] if "/" in words[0] else found[0].rpartition("/")[2]
    if first != words[0]:
        return False
    rest = list(found[1:])
    if len(words) > 1 and not words[1].startswith("-"):  # options may stand before a subcommand
        while rest and rest[0].startswith("-") and words[0] in _HAS_COMMANDS:
            del rest[: 2 if rest[0] in _TAKE_A_WORD else 1]
    return tuple(rest) == words[1:] if whole else tuple(rest[: len(words) - 1]) == words[1:]


def prefix_to_offer(line: str) -> str | None:
    """The words that "always allow" would cover; None when no prefix is worth trust."""
    reading = read(line)
    if not reading.plain:
        return None
    offers = {_offer(words) for words in reading.commands}
    return offers.pop() if len(offers) == 1 else None


def _offer(words: tuple[str, ...]) -> str | None:
    first = words[0]
    name = first.rpartition("/")[2]
    if name in _RUNS_ANYTHING or re.fullmatch(r"(python|ruby|perl|node)[\d.]*", name):
        return None
    if not _PLAIN_WORD.fullmatch(name):
        return None
    if name not in _HAS_COMMANDS:
        return first
    if len(words) < 2 or not _PLAIN_WORD.fullmatch(words[1]) or words[:2] in _RUNS_WHAT_FOLLOWS:
        return None
    return f"{first} {words[1]}"
