"""The pages of an export that a person reads: one HTML page, and each session as Markdown. Pure.

Everything that came from elsewhere is escaped in the page. In a transcript it is shown as it is,
in blocks that are fenced longer than any fence within them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bailee.blocks import Spoken, as_json
from bailee.operations import codec
from bailee.operations.transcript import (
    AsBytes,
    ShownBranch,
    ShownExchange,
    as_bytes,
    shown_branches,
    shown_exchanges,
)
from bailee.shown import html_text as escape
from bailee.shown import line
from bailee.unfolding import UNANSWERED, Begins, Ends, unfolded
from bailee.vault.transcript import Transcript

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}"
    "th{border-bottom:1px solid}@media(prefers-color-scheme:dark){"
    "body{background:#111;color:#eee}a{color:#9cf}}"
)

_LINKED: Final = {("sessions", "transcript"), ("reports", "content")}  # cells that name a file


def page(subject: str, made: str, tables: Mapping[str, Sequence[Mapping[str, object]]]) -> bytes:
    """`index.html`: a heading and a table for each kind of thing that is held."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>What is held about {escape(subject)}</title><style>{_STYLE}</style>",
        f"<h1>What is held about {escape(subject)}</h1>",
        f"<p>As of {escape(made)}. Each table below is also a file of JSON lines beside this page; "
        "<code>manifest.json</code> lists all files. Keys and passwords are not here: what is kept "
        "of them can&#39;t be turned back.</p>",
    ]
    for name, rows in tables.items():
        title = escape(name.replace("-", " "))
        parts.append(f'<h2 id="{escape(name)}">{title} ({len(rows)})</h2>')
        parts.append(_table(name, rows) if rows else "<p>Nothing.</p>")
    return "".join(parts).encode("utf-8", "backslashreplace")


def _table(name: str, rows: Sequence[Mapping[str, object]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{_cell(name, column, row.get(column))}</td>" for column in columns)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, column: str, value: object) -> str:
    text = escape(value if isinstance(value, str) else _plain(value))
    if (name, column) in _LINKED and value:
        return f'<a href="{text}">{text}</a>'
    return text


def _plain(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def transcript(session_id: str, shown: Transcript) -> Iterator[str]:
    """A session as Markdown: what every other view shows of it, in the same words. What branched
    off stands where it did, folded.
    """
    yield f"# Session {session_id}\n"
    depth = 0
    for one in unfolded(shown.main, shown_branches(shown), shown.begins):
        match one:
            case Begins(branch):
                depth += 1
                yield f"\n<details><summary>{_title(branch)}</summary>\n"
            case Ends(branch):
                depth -= 1
                yield from _ended(branch)
                yield "\n</details>\n"
            case Spoken(role, blocks, marks):
                yield f"\n{'###' if depth else '##'} {role}\n"
                for label, text in blocks:
                    # Within a fold no text may end it.
                    yield _fenced(label, text) if label or depth else f"\n{text}\n"
                yield from _marked(marks)
            case _:
                yield "\n---\n"
    yield from _particulars(shown_exchanges(shown.exchanges))
    yield from unshown(as_bytes(shown.exchanges))


def _marked(marks: str) -> Iterator[str]:
    if marks:
        yield "\n<details><summary>ids and marks</summary>\n"
        yield _fenced("", marks)
        yield "\n</details>\n"


def _title(branch: ShownBranch) -> str:
    where = "" if branch.of is None else f", of {branch.of} after its message {branch.at}"
    exchanges = ", ".join(map(str, branch.exchanges)) or "none"
    name = f" {branch.name}" if branch.name else ""
    kind = branch.kind.replace("_", " ")
    return escape(line(f"{branch.number}. {kind}{name}{where} (exchanges: {exchanges})"))


def _ended(branch: ShownBranch) -> Iterator[str]:
    if branch.kind in UNANSWERED:
        yield _fenced("ended", f"{branch.outcome}, status {branch.status}")
    if branch.error is not None:
        yield _fenced("error", as_json(branch.error))


def _particulars(exchanges: Iterable[ShownExchange]) -> Iterator[str]:
    """What requests and answers say beside their messages, each thing once."""
    yield "\n# Exchanges\n\nInstructions, tools and the like stand where they came first.\n"
    for one in exchanges:
        ended = f"{one.outcome}, status {one.status}"
        yield f"\n<details><summary>{one.number}: {one.started.isoformat()}, {ended}</summary>\n"
        yield _fenced("beside its messages", as_json(codec.plain(one)))
        yield "\n</details>\n"


def unshown(kept: Sequence[AsBytes]) -> Iterator[str]:
    """What is not understood of what is shown above, and where it is whole."""
    if kept:
        yield "\n# Kept as it came\n\nIn the JSON lines beside this page, each whole:\n\n"
    for one in kept:
        yield f"- exchange {one.number}: {one.size} bytes ({one.why})\n"


def _fenced(label: str, text: str) -> str:
    named = f"\n*{label}*\n" if label else ""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{named}\n{fence}\n{text}\n{fence}\n"
