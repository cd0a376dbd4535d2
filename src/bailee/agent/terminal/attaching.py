"""What a person's line brings along: files named with `@`, and images whose path was pasted."""

from __future__ import annotations

import re
import shlex
from typing import Final

from bailee.agent.file_content import read_bytes
from bailee.agent.ports import Block
from bailee.agent.tools.files import decoded, image_block, image_kind
from bailee.agent.workspace import Workspace, WorkspacePath
from bailee.errors import InputError
from bailee.words import Words

_NAMED: Final = re.compile(r"(?:^|(?<=\s))@(\S+)")
_IMAGE: Final = re.compile(r"\.(?:png|jpe?g|gif|webp)$", re.IGNORECASE)
_LARGEST: Final = 100_000  # characters


def content_of(line: str, workspace: Workspace, words: Words) -> tuple[list[Block], list[str]]:
    """The blocks of a prompt, and what was brought along or why not, for the person to see.

    What a person names may be read wherever it is: naming it is the permission.
    """
    blocks: list[Block] = []
    notes: list[str] = []
    for name in dict.fromkeys(_NAMED.findall(line)):
        path = name.rstrip(".,;:!?)")
        try:
            place = workspace.place(path)
            if not place.real.exists():
                continue  # an @ that names no file is just text
            if place.real.is_dir():
                listed = "\n".join(sorted(p.name + "/" * p.is_dir() for p in place.real.iterdir()))
                blocks.append(_text(f"The folder {place.subject} holds:\n\n{listed[:_LARGEST]}"))
            else:
                blocks.append(_file(read_bytes(place), place))
            notes.append(words("file.goes", file=place.subject))
        except InputError as error:
            notes.append(words("file.stays", file=path, why=words.what(error)))
        except OSError as error:
            notes.append(words("file.stays", file=path, why=error))
    for path in _pasted_images(line):
        try:
            place = workspace.place(path)
            content = read_bytes(place)
            if (kind := image_kind(content)) is not None:
                blocks.append(image_block(content, kind, place.subject))
                notes.append(words("file.image_goes", file=place.subject))
        except InputError:
            continue
    return [*blocks, _text(line)], notes


def _file(content: bytes, place: WorkspacePath) -> Block:
    if (kind := image_kind(content)) is not None:
        return image_block(content, kind, place.subject)
    text = decoded(content, place)
    if len(text) > _LARGEST:
        text = f"{text[:_LARGEST]}\n[cut: {len(text)} characters in all]"
    return _text(f"The file {place.subject}:\n\n{text}")


def _pasted_images(line: str) -> list[str]:
    """Words of the line that are paths of images; terminals quote or escape what is dropped."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return [
        word for word in dict.fromkeys(words) if _IMAGE.search(word) and not word.startswith("@")
    ]


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
