"""Read, Write, Edit: the files of the workspace."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final

from bailee.agent.editing import changed_lines, diff, replaced
from bailee.agent.ports import Block, Intent, ToolOutcome
from bailee.agent.tools.arguments import Arguments, field, schema
from bailee.agent.workspace import Workspace, WorkspacePath, read_bytes, write_bytes
from bailee.errors import InputError

_LINES: Final = 2000
_LINE: Final = 2000  # characters
_LARGEST_IMAGE: Final = 3_500_000  # bytes; 5 MB as base64 is the API's limit
_PATH: Final = field("string", "The file, relative to the workspace or absolute.")
IMAGES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


class SeenFiles:
    """Which content of which file the model has seen, so that it overwrites nothing unseen."""

    def __init__(self) -> None:
        self._digests: dict[Path, bytes] = {}

    def note(self, file: Path, content: bytes) -> None:
        """The model knows `content` of `file`."""
        self._digests[file] = hashlib.sha256(content).digest()

    def knows(self, file: Path, content: bytes) -> bool:
        """Whether it knows this content."""
        return self._digests.get(file) == hashlib.sha256(content).digest()


class Read:
    """Reads a file."""

    name = "Read"
    description = (
        "Reads a file with line numbers (or an image). Up to 2000 lines from `offset`, counted "
        "from 1."
    )
    input_schema = schema(
        {"path": _PATH},
        {
            "offset": field("integer", "The first line to read."),
            "limit": field("integer", "How many lines."),
        },
    )

    def __init__(self, workspace: Workspace, seen: SeenFiles) -> None:
        self._workspace = workspace
        self._seen = seen

    def intent(self, arguments: Arguments) -> Intent:
        """Reading inside the workspace is harmless."""
        place = self._workspace.place(arguments.text("path"))
        return Intent(self.name, place.subject, f"Read {place.subject}", harmless=place.inside)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """The lines, numbered."""
        place = self._workspace.place(arguments.text("path"))
        content = read_bytes(place)
        self._seen.note(place.real, content)
        if (kind := image_kind(content)) is not None:
            return ToolOutcome([image_block(content, kind, place.subject)], shown=kind)
        text = decoded(content, place)
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        first = arguments.number("offset", 1, least=1)
        count = arguments.number("limit", _LINES, least=1, most=_LINES)
        part = lines[first - 1 : first - 1 + count]
        if not part:
            return ToolOutcome(f"The file has {len(lines)} lines.", shown=f"{len(lines)} lines")
        numbered = [f"{first + i:6}\t{_short(line)}" for i, line in enumerate(part)]
        if len(lines) > first - 1 + len(part):
            numbered.append(f"[{len(lines)} lines in all; go on with offset {first + len(part)}]")
        return ToolOutcome("\n".join(numbered), shown=f"{len(part)} lines")


class Write:
    """Makes a file, or replaces one."""

    name = "Write"
    description = (
        "Writes a whole file, and the folders it needs. A file that is there must have been read "
        "first. To change a part, use Edit."
    )
    input_schema = schema({"path": _PATH, "content": field("string", "The whole content.")})

    def __init__(self, workspace: Workspace, seen: SeenFiles) -> None:
        self._workspace = workspace
        self._seen = seen

    def intent(self, arguments: Arguments) -> Intent:
        """What would change, as a diff."""
        place, before, after = self._change(arguments)
        verb = "Create" if before is None else "Replace"
        shown = diff(before or "", after, place.subject)
        return _intent(self.name, place, verb, shown)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Writes."""
        place, before, after = self._change(arguments)
        return _written(self._seen, place, before or "", after, after.encode())

    def _change(self, arguments: Arguments) -> tuple[WorkspacePath, str | None, str]:
        place = self._workspace.place(arguments.text("path"))
        content = arguments.text("content")
        _encoded(content)
        if not place.real.exists():
            return place, None, content
        there = read_bytes(place)
        if not self._seen.knows(place.real, there):
            raise InputError(
                f"{place.subject} is there, and this content of it has not been read.",
                hint="read it first",
            )
        return place, there.decode(errors="replace"), content


class Edit:
    """Replaces an exact piece of a file."""

    name = "Edit"
    description = (
        "Replaces `old` by `new` in a file. `old` must stand there exactly, and once unless "
        "`replace_all` is true: give enough of its surroundings."
    )
    input_schema = schema(
        {
            "path": _PATH,
            "old": field("string", "The exact text to replace."),
            "new": field("string", "What takes its place."),
        },
        {"replace_all": field("boolean", "Replace every occurrence.")},
    )

    def __init__(self, workspace: Workspace, seen: SeenFiles) -> None:
        self._workspace = workspace
        self._seen = seen

    def intent(self, arguments: Arguments) -> Intent:
        """What would change, as a diff."""
        place, before, after = self._change(arguments)
        shown = diff(before, after, place.subject)
        return _intent(self.name, place, "Edit", shown)

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Writes what the file is now, changed; not what it was when it was asked about."""
        place, before, after = self._change(arguments)
        return _written(self._seen, place, before, after, after.encode())

    def _change(self, arguments: Arguments) -> tuple[WorkspacePath, str, str]:
        place = self._workspace.place(arguments.text("path"))
        before = decoded(read_bytes(place), place)
        old, new = arguments.text("old"), arguments.text("new")
        _encoded(new)
        return place, before, replaced(before, old, new, every=arguments.flag("replace_all"))


def decoded(content: bytes, place: WorkspacePath) -> str:
    """The file's text.

    Raises:
        InputError: it is not UTF-8 text.
    """
    try:
        if b"\0" in content[:8192]:
            raise ValueError
        return content.decode()
    except ValueError:
        raise InputError(f"{place.subject} is not a UTF-8 text ({len(content)} bytes).") from None


def image_kind(content: bytes) -> str | None:
    """The media type when these are the bytes of an image that models take."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in IMAGES.items() if content.startswith(magic)), None)


def image_block(content: bytes, kind: str, name: str) -> Block:
    """An image as a content block.

    Raises:
        InputError: it is too large for a request.
    """
    if len(content) > _LARGEST_IMAGE:
        raise InputError(f"{name} is too large for a request.", code="request_too_large")
    data = base64.b64encode(content).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _intent(tool: str, place: WorkspacePath, verb: str, shown: str) -> Intent:
    title = f"{verb} {place.subject}"
    return Intent(tool, place.subject, title, shown, "diff", guarded=place.guarded)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError("the text holds half a character (a lone surrogate).") from None


def _written(
    seen: SeenFiles, place: WorkspacePath, before: str, after: str, content: bytes
) -> ToolOutcome:
    write_bytes(place, content)
    seen.note(place.real, content)
    shown = diff(before, after, place.subject)
    added, taken = changed_lines(shown)
    said = f"{place.subject}: {added} lines added, {taken} taken away."
    return ToolOutcome(said, shown=shown, shown_kind="diff")


def _short(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[:_LINE]}… [{len(line)} characters]"
