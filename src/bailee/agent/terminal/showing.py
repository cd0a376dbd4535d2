"""Events of a turn, shown as they happen."""

from __future__ import annotations

import time
from math import ceil
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text
from rich.theme import Theme

from bailee.agent import events
from bailee.agent.editing import changed_lines
from bailee.agent.ports import AnswerPiece, Intent
from bailee.agent.terminal.writing import Blocks, wrapped_start
from bailee.shown import lines as visible
from bailee.words import Words

# The terminal's own colours, and few of them.
THEME: Final = Theme(
    {
        "markdown.code": "bold",
        "markdown.code_block": "none",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.link": "underline",
        "markdown.link_url": "underline",
        "markdown.block_quote": "italic",
        "markdown.item.bullet": "none",
        "markdown.item.number": "none",
    }
)
_SHOWN: Final = 12  # lines of a tool's output
_TAIL: Final = 4  # lines of a block that is being written


class Showing:
    """Shows one turn after another on a console."""

    def __init__(self, console: Console, words: Words) -> None:
        self._console = console
        self._words = words
        self._blocks = Blocks()
        self._kind = "text"
        self._live: Live | None = None
        self._work = ""
        self._since = 0.0
        self._until = 0.0  # a request is made again then

    # -- the line that moves ---------------------------------------------------------------------

    def begin(self) -> None:
        """A turn begins."""
        self._work, self._since = self._words("turn.thinking"), time.monotonic()
        self.resume()

    def resume(self) -> None:
        """The moving line comes back after `pause`."""
        if self._live is None and self._console.is_terminal:
            self._live = Live(
                _Moving(self), console=self._console, transient=True, refresh_per_second=8
            )
            self._live.start()

    def pause(self) -> None:
        """The moving line goes, so that something may be asked."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self) -> None:
        """The turn is over, however it ended."""
        self._flush()
        self.pause()

    # -- events ----------------------------------------------------------------------------------

    def take(self, event: events.Event) -> None:
        """Shows one event."""
        words = self._words
        match event:
            case AnswerPiece(kind, text):
                self._piece(kind, text)
            case events.Answered(answer):
                self._flush()
                calls = sum(block["type"] == "tool_use" for block in answer.content)
                self._work = self._words("turn.working" if calls else "turn.thinking")
            case events.Retrying(attempt, tries, why, seconds):
                self._blocks.end()
                said = words("turn.retrying", why=why, number=attempt + 1, tries=tries)
                self._line(said, "yellow")
                self._work, self._until = words("turn.thinking"), time.monotonic() + seconds
            case events.ToolStarted(_, intent, _):
                self._work = intent.title
            case events.ToolEnded(_, intent, outcome):
                self._work = words("turn.thinking")
                self.tool(intent, outcome.shown, outcome.shown_kind, outcome.is_error)
                if outcome.is_error and not outcome.shown:
                    self._body(str(outcome.content), "red")
            case events.CallRefused(_, intent, reason, _):
                self.tool(intent, "", "text", True)
                self._line("  " + words("turn.refused", reason=reason), "yellow")
            case events.Compacting(tokens):
                self._work = words("turn.summing_up", tokens=tokens)
            case events.Compacted():
                self._line(words("turn.summed_up"), "dim")
            case events.TranscriptNotKept(why):
                self._line(words("turn.not_kept", why=why), "yellow")
            case events.Warned(why):
                self._line(why, "yellow")
            case events.TurnEnded(ending):
                self._flush()
                self._ended(ending)
            case _:
                pass

    def tool(self, intent: Intent | None, shown: str, kind: str, is_error: bool) -> None:
        """A call and what it came to."""
        title = visible(intent.title) if intent else self._words("turn.unreadable_call")
        line = Text("● ", style="red" if is_error else "green")
        line.append(title.split("\n")[0], style="bold")
        if kind == "diff" and shown:
            added, taken = changed_lines(shown)
            line.append(f"  +{added} -{taken}", style="dim")
        elif shown and "\n" not in shown and intent is not None and intent.tool != "Bash":
            line.append(f"  {visible(shown)}", style="dim")
            shown = ""
        self._console.print(line)
        if intent is not None and intent.preview_kind == "command":
            self._body(f"$ {intent.preview}", "dim")
        if kind == "diff":
            self._console.print(Padding(diff_text(shown, _SHOWN * 4, self._words), (0, 0, 0, 2)))
        elif shown:
            self._body(shown, "red" if is_error else "none")

    def _piece(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self._flush()
            self._kind = kind
        self._work = self._words("turn.writing" if kind == "text" else "turn.thinking")
        for block in self._blocks.feed(visible(text)):
            self._block(block)

    def _flush(self) -> None:
        if (left := self._blocks.end()).strip():
            self._block(left)

    def _block(self, block: str) -> None:
        if self._kind == "thinking":
            self._console.print(Text(block.strip(), style="dim italic"))
        else:
            self._console.print(markdown(block))
        self._console.print()

    def _body(self, text: str, style: str) -> None:
        lines = visible(text).rstrip().split("\n")
        if len(lines) > _SHOWN:
            lines = [*lines[:_SHOWN], self._words.count("turn.more", len(lines) - _SHOWN)]
        self._console.print(Padding(Text("\n".join(lines), style=style), (0, 0, 0, 2)))

    def _line(self, text: str, style: str) -> None:
        self._console.print(Text(visible(text), style=style))

    def _ended(self, ending: events.Ending) -> None:
        if ending != "done":
            self._line(self._words(f"ending.{ending}"), "yellow")

    def moving(self) -> tuple[str, str]:
        """What is under way: the tail of what is being written; the work, and since when."""
        tail = wrapped_start(self._blocks.rest, _TAIL)
        work = visible(self._work).split("\n")[0][:60]
        now = time.monotonic()
        if self._until > now:
            return tail, self._words("turn.waiting", seconds=ceil(self._until - now))
        seconds = int(now - self._since)
        return tail, self._words("turn.moving", work=work, seconds=seconds)


class _Moving:
    """The moving line, made anew at each refresh."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._spinner = Spinner("dots")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tail, work = self._showing.moving()
        self._spinner.text = Text(work, style="dim", no_wrap=True, overflow="ellipsis")
        parts = [Text(tail, style="dim")] if tail.strip() else []
        yield Group(*parts, self._spinner)


def markdown(text: str) -> Markdown:
    """Markdown in the terminal's own colours, addresses shown."""
    return Markdown(text, code_theme="ansi_dark", hyperlinks=False)


def diff_text(diff: str, most: int, words: Words) -> Text:
    """A diff without its two file lines; what it says can be told without colour."""
    lines = visible(diff).split("\n")[2:]
    made = Text()
    for line in lines[:most]:
        style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "none")
        made.append(f"{line}\n", style=style)
    if len(lines) > most:
        made.append(words.count("turn.more", len(lines) - most), style="dim")
    made.rstrip()
    return made
