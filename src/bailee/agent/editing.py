"""Changing a text by exact replacement, and showing what changed. Pure.

* What is to be replaced must stand in the text exactly, and once, unless all are wanted: an edit
  never lands somewhere else than where it was meant.
* What is to be replaced is found whichever line ends it was written with; those of the replacement
  are the caller's.
* Everything else of the text stays, byte for byte.
"""

from __future__ import annotations

from bailee.errors import InputError


def replaced(text: str, old: str, new: str, *, every: bool = False) -> str:
    """`text` with `old` replaced by `new`.

    Raises:
        InputError: `old` is empty, equals `new`, is not there, or is there more than once.
    """
    if not old:
        raise InputError("there is nothing to replace.", hint="use Write to make a file")
    if old == new:
        raise InputError("the replacement equals what it replaces.")
    if old not in text:  # the model is shown LF, whatever the file has
        old = old.replace("\r\n", "\n")
        old = next((o for e in ("\r\n", "\r") if (o := old.replace("\n", e)) in text), old)
    found = text.count(old)
    if found == 0:
        raise InputError(
            "the text to replace is not in the file.",
            hint="read the file again and copy it exactly, spaces and line ends too",
        )
    if found > 1 and not every:
        raise InputError(
            f"the text to replace is there {found} times.",
            hint="give more of its surroundings, or set replace_all",
        )
    return text.replace(old, new)


def diff(before: str, after: str, name: str) -> str:
    """What changed, as a unified diff of whole lines; empty when nothing did."""
    import difflib

    made = difflib.unified_diff(
        _lines(before), _lines(after), f"a/{name}", f"b/{name}", n=3, lineterm=""
    )
    return "\n".join(made)


def changed_lines(shown: str) -> tuple[int, int]:
    """How many lines a diff adds and takes away."""
    lines = shown.splitlines()[2:]
    return sum(x.startswith("+") for x in lines), sum(x.startswith("-") for x in lines)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    else:
        lines[-1] += "\n\\ No newline at end of file"
    return lines
