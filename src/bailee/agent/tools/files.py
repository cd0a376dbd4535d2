"""Read, Write, Edit: the files of the workspace."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bailee.agent.editing import changed_lines, diff, replaced
from bailee.agent.file_content import read_bytes, write_bytes
from bailee.agent.ports import Block, Intent, ToolOutcome
from bailee.agent.shapes import PLAIN, Shape, shape_of
from bailee.agent.tools.arguments import Arguments, field, schema
from bailee.agent.workspace import Workspace, WorkspacePath
from bailee.errors import InputError
from bailee.records import dataclass

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
    """Which content of which file the model has seen, and which lines of it, so that it overwrites
    nothing unseen.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[bytes, set[int] | None]] = {}

    def note(self, file: Path, content: bytes, lines: Iterable[int] | None = None) -> None:
        """The model knows `content` of `file`: all of it, or these lines, counted from 0."""
        digest = hashlib.sha256(content).digest()
        known, before = self._seen.get(file, (digest, set()))
        if known != digest:
            before = set()
        seen = None if lines is None or before is None else before | set(lines)
        self._seen[file] = digest, seen

    def knows(self, file: Path, content: bytes, count: int) -> bool:
        """Whether it knows all of this content, which has `count` lines."""
        digest, seen = self._seen.get(file, (b"", set()))
        if digest != hashlib.sha256(content).digest():
            return False
        return seen is None or len(seen) >= count


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
        return reading(arguments.place(self._workspace))

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """The lines, numbered."""
        place = arguments.place(self._workspace)
        content = read_bytes(place)
        if (kind := image_kind(content)) is not None:
            return ToolOutcome([image_block(content, kind, place.subject)], shown=kind)
        lines = _lines(*_text_of(content, place))
        first = arguments.number("offset", 1, least=1)
        count = arguments.number("limit", _LINES, least=1, most=_LINES)
        part = lines[first - 1 : first - 1 + count]
        whole = (n for n, line in enumerate(part, first - 1) if len(line) <= _LINE)
        self._seen.note(place.real, content, whole)
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
        "first, all of it; its encoding and line ends stay. To change a part, use Edit."
    )
    input_schema = schema({"path": _PATH, "content": field("string", "The whole content.")})

    def __init__(self, workspace: Workspace, seen: SeenFiles) -> None:
        self._workspace = workspace
        self._seen = seen

    def intent(self, arguments: Arguments) -> Intent:
        """What would change, as a diff."""
        change = self._change(arguments)
        return _intent(self.name, change, "Replace" if change.is_there else "Create")

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Writes."""
        change = self._change(arguments)
        return _written(change, self._seen, whole=True)

    def _change(self, arguments: Arguments) -> _Change:
        place = arguments.place(self._workspace)
        content = arguments.text("content")
        if not os.path.lexists(place.real):
            return _changed(place, PLAIN, "", content, is_there=False)
        there = read_bytes(place)
        shape, before = _text_of(there, place)
        if not self._seen.knows(place.real, there, len(_lines(shape, before))):
            raise InputError(
                f"{place.subject} is there, and this content of it has not been read, or not all.",
                hint="read all its lines first, or change a part with Edit",
            )
        mark = shape.mark.decode(shape.encoding) if shape.mark else ""
        return _changed(place, shape, before, content.removeprefix(mark) if mark else content)


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
        return _intent(self.name, self._change(arguments), "Edit")

    async def run(self, arguments: Arguments) -> ToolOutcome:
        """Writes what the file is now, changed; not what it was when it was asked about."""
        change = self._change(arguments)
        there = read_bytes(change.place)
        lines = len(_lines(change.shape, change.before))
        return _written(change, self._seen, whole=self._seen.knows(change.place.real, there, lines))

    def _change(self, arguments: Arguments) -> _Change:
        place = arguments.place(self._workspace)
        shape, before = _text_of(read_bytes(place), place)
        old, new = arguments.text("old"), arguments.text("new")
        after = replaced(before, old, shape.fitted(new), every=arguments.flag("replace_all"))
        return _changed(place, shape, before, after, added=new)


@dataclass(frozen=True, slots=True)
class _Change:
    place: WorkspacePath
    shape: Shape
    before: str
    after: str
    content: bytes
    is_there: bool

    @property
    def texts(self) -> tuple[str, str]:
        """What it says before, and after."""
        return self.before, self.after


def _changed(
    place: WorkspacePath,
    shape: Shape,
    before: str,
    after: str,
    *,
    added: str | None = None,
    is_there: bool = True,
) -> _Change:
    """A change of a text, of which `added` (or all of it) is the model's.

    Raises:
        InputError: it can't be written in the file's encoding.
    """
    new = after if added is None else added
    if not shape.known and not new.isascii():
        raise InputError(
            f"the encoding of {place.subject} is not known.",
            hint="only ASCII can be written into it; convert it first, with iconv",
        )
    after = shape.fitted(after) if added is None else after
    try:
        new.encode()
        return _Change(place, shape, before, after, shape.encoded(after), is_there)
    except UnicodeEncodeError:
        raise InputError("the text holds half a character (a lone surrogate).") from None


def reading(place: WorkspacePath) -> Intent:
    """The intent to read a place, which rules for Read speak of."""
    return Intent(
        Read.name, place.subject, f"Read {place.subject}", harmless=place.inside,
        names=place.names, spelled=place.spelled,
    )  # fmt: skip


def decoded(content: bytes, place: WorkspacePath) -> str:
    """The file's text, for showing.

    Raises:
        InputError: it is no text.
    """
    shape, text = _text_of(content, place)
    return text if shape.known else content.decode(errors="replace")


def _text_of(content: bytes, place: WorkspacePath) -> tuple[Shape, str]:
    found = shape_of(content)
    if found is None:
        raise InputError(f"{place.subject} is not a text ({len(content)} bytes).")
    return found


def _lines(shape: Shape, text: str) -> list[str]:
    """The lines as the model is shown them, without their ends."""
    if not shape.known:
        text = text.encode(errors="surrogateescape").decode(errors="replace")
    lines = text.split("\n" if shape.ends == "\r\n" else shape.ends)
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines] if shape.ends == "\r\n" else lines


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


def _intent(tool: str, change: _Change, verb: str) -> Intent:
    place = change.place
    return Intent(
        tool, place.subject, f"{verb} {place.subject}", _diff(change), "diff",
        guarded=place.guarded or _told(change), names=place.names, spelled=place.spelled,
    )  # fmt: skip


def _told(change: _Change) -> str | None:
    """Why a change is guarded by what the file says, or would say."""
    from bailee.agent.telling import tells  # a start changes nothing

    place = change.place
    if any(tells(place.real.name, text.encode(errors="replace")) for text in change.texts):
        return f"{place.subject} says what other programs start or permit."
    return None


def _diff(change: _Change) -> str:
    texts = (change.before, change.after)
    if change.shape.ends != "\n":
        texts = tuple(text.replace(change.shape.ends, "\n") for text in texts)  # type: ignore[assignment]
    if not change.shape.known:
        texts = tuple(t.encode(errors="surrogateescape").decode(errors="replace") for t in texts)  # type: ignore[assignment]
    return diff(*texts, change.place.subject)


def _written(change: _Change, seen: SeenFiles, *, whole: bool) -> ToolOutcome:
    """`whole`: the model knows all that the file is now."""
    write_bytes(change.place, change.content)
    if whole:
        seen.note(change.place.real, change.content)
    shown = _diff(change)
    added, taken = changed_lines(shown)
    said = f"{change.place.subject}: {added} lines added, {taken} taken away."
    return ToolOutcome(said, shown=shown, shown_kind="diff")


def _short(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[:_LINE]}… [{len(line)} characters]"
