"""Which files a value of some configuration names, in whatever way a shell would come to them."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOST_WORDS: Final = 200  # of one value
_MOST_FOLDERS: Final = 8
_A_SCRIPT: Final = re.compile(r"\A(?:\./)?[\w-]+\.(?:sh|bash|py|pl|rb|js|mjs|cjs|ts|php|lua)\Z")
_A_PATH: Final = re.compile(r"\A[^-:%].*/")
_VARIABLE: Final = re.compile(r"\$\{?\w+\}?|\$\([^()]*\)|`[^`]*`")
_BETWEEN: Final = re.compile(r"[\s;&|<>(){}$`\"'=,]+")


def spoken_of(value: str, top: Path, home: Path) -> Iterator[Path]:
    """The files that a value names, and those that are not there yet."""
    words = list(dict.fromkeys(_words(value)))[:_MOST_WORDS]
    folders = [top]
    for word in words:
        with contextlib.suppress(OSError, ValueError):  # no name of a file
            if len(folders) < _MOST_FOLDERS and (folder := top / expanded(word, home)).is_dir():
                folders.append(folder)
    for word in words:
        for folder in dict.fromkeys(folders):
            with contextlib.suppress(OSError, ValueError):
                path = folder / expanded(word, home)
                named = _A_SCRIPT.search(word) or (folder is top and _A_PATH.search(word))
                if path.is_file() or (named and not path.exists()):
                    yield path


def _words(value: str) -> Iterator[str]:
    """What of a value may be a file's name, in whatever way a shell would come to it: as a word, a
    part of one, behind a variable or what another command says.
    """
    text = value.removeprefix("!")
    with contextlib.suppress(ValueError):
        yield from shlex.split(text)
    for parts in (_BETWEEN.split(text), _VARIABLE.sub("", text).split(), text.split()):
        for part in parts:
            for word in (part, *_BETWEEN.split(part)):
                if bare := word.strip("\"'"):
                    yield bare
                    if bare.startswith("/") and not Path(bare).exists():
                        yield bare.lstrip("/")


def expanded(text: str, home: Path) -> str:
    """A path with the home in the place of `~`."""
    return f"{home}{text[1:]}" if text == "~" or text.startswith("~/") else text
