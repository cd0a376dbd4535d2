"""Cache marks apart from what they mark. Pure.

A client marks the end of what the model's service may cache with `cache_control` on a block, and
moves the marks at every turn. A message whose mark moved is the same message; so marks are taken
off before messages are compared, kept as annotations, and put back exactly.

A mark is looked for on the blocks of a message's content, on the blocks inside a tool result, and
on the entries of list-valued fields (`system`, `tools`). Anywhere else it is part of the value.
"""

from __future__ import annotations

from typing import TypeAlias

from bailee.vault.packing import JSON

MARK = "cache_control"

Mark: TypeAlias = "tuple[list[int], JSON]"
"""Where a mark stood (indices: block, or block and inner block) and what it was."""


def strip_message(message: JSON) -> tuple[JSON, list[Mark]]:
    """A message without its marks, and the marks. The message itself is left as it is."""
    if not isinstance(message, dict):
        return message, []
    content = message.get("content")
    if not isinstance(content, list):
        return message, []
    blocks, marks = strip_entries(content)
    stripped = list(blocks)
    for index, block in enumerate(blocks):
        if isinstance(block, dict) and block.get("type") == "tool_result":
            inner = block.get("content")
            if isinstance(inner, list):
                kept, inside = strip_entries(inner)
                if inside:
                    stripped[index] = {**block, "content": kept}
                    marks += [([index, *where], mark) for where, mark in inside]
    return (message, []) if not marks else ({**message, "content": stripped}, marks)


def strip_entries(entries: list[JSON]) -> tuple[list[JSON], list[Mark]]:
    """A list's entries without their marks, and the marks."""
    marks: list[Mark] = []
    kept: list[JSON] = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and MARK in entry:
            marks.append(([index], entry[MARK]))
            entry = {name: value for name, value in entry.items() if name != MARK}  # noqa: PLW2901
        kept.append(entry)
    return (kept, marks) if marks else (entries, marks)


def mark_entries(entries: JSON, marks: list[Mark]) -> JSON:
    """`entries` with `marks` put back; `entries` itself is left as it is."""
    if not marks or not isinstance(entries, list):
        return entries
    marked = list(entries)
    inner: dict[int, list[Mark]] = {}
    for where, mark in marks:
        if len(where) == 1:
            entry = marked[where[0]]
            assert isinstance(entry, dict)
            marked[where[0]] = {**entry, MARK: mark}
        else:
            inner.setdefault(where[0], []).append((where[1:], mark))
    for index, some in inner.items():
        entry = marked[index]
        assert isinstance(entry, dict)
        marked[index] = {**entry, "content": mark_entries(entry["content"], some)}
    return marked


def mark_message(message: JSON, marks: list[Mark]) -> JSON:
    """`message` with `marks` put back; `message` itself is left as it is."""
    if not marks or not isinstance(message, dict):
        return message
    return {**message, "content": mark_entries(message["content"], marks)}
