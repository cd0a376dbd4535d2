"""What happens in a cloud session, as a page shows it: who says what, in plain text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from bailee.json_values import members, objects, whole
from bailee.words import Words

_LONGEST: Final = 20_000
_RESULT_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class SaidEvent:
    """One thing. `kind` is a class of the style: step, prompt, said, tool, result, problem."""

    n: int
    at: str
    kind: str
    who: str
    text: str

    def as_object(self) -> dict[str, object]:
        """For the page's script."""
        return asdict(self)


def said(events: Sequence[Mapping[str, object]], words: Words) -> Iterator[SaidEvent]:
    """The events that a person wants to read."""
    for event in events:
        for kind, who, text in _parts(event, words):
            if text:
                shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
                yield SaidEvent(
                    whole(event["n"]), str(event["at"]), kind, words(f"cloud.who_{who}"), shown
                )


def _parts(event: Mapping[str, object], words: Words) -> Iterator[tuple[str, str, str]]:
    kind = event["kind"]
    if kind == "state":
        state = words(f"cloud.state_{event['state']}")
        if event["state"] == "ended":
            state += f": {words('cloud.end_' + str(event['end']))}"
            if event["problem"]:
                state += f" ({event['problem']})"
        yield "step", "service", state
    elif kind == "prompt":
        yield "prompt", "person", str(event["text"])
    elif kind == "git":
        name = words(f"cloud.git_{event['step']}")
        if event["ok"]:
            yield "step", "git", name
        else:
            yield "problem", "git", f"{words('cloud.failed', what=name)}\n{event['text']}"
    elif kind == "output":
        yield "result", "output", str(event["text"])
    elif kind == "dropped":
        yield "problem", "service", words("cloud.dropped", number=event["count"])
    elif kind == "agent":
        yield from _agent(members(event["event"]))


def _agent(line: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    for block in objects(members(line.get("message")).get("content")):
        if block.get("type") == "text":
            yield "said", "agent", str(block.get("text", ""))
        elif block.get("type") == "tool_use":
            yield "tool", "tool", f"{block.get('name')} {_arguments(block.get('input'))}"
        elif block.get("type") == "tool_result":
            yield "result", "output", _result(block.get("content"))


def _arguments(given: object) -> str:
    if not isinstance(given, dict):
        return str(given)
    first = given.get("command") or given.get("path") or given.get("file_path")
    return str(first) if first else ", ".join(f"{name}={value}" for name, value in given.items())


def _result(content: object) -> str:
    if isinstance(content, list):
        texts = [str(b.get("text", "")) for b in content if isinstance(b, dict)]
        content = "\n".join(texts)
    lines = str(content).splitlines()
    more = len(lines) - _RESULT_LINES
    return "\n".join(lines[:_RESULT_LINES]) + (f"\n… {more}" if more > 0 else "")
