"""Transcripts that last as long as the process: for tests, and for those who keep none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailee.agent.ports import Record


@dataclass(frozen=True, slots=True)
class InMemoryKept:
    """See `ports.Kept`."""

    session: str
    folder: str
    title: str
    last_activity: str
    forgotten_at: str | None = None


class InMemory:
    """A `ports.Transcripts` that forgets with the process."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}

    def append(self, session: str, record: Record) -> None:
        """See `ports.Transcripts.append`."""
        self.records.setdefault(session, []).append(record)

    def load(self, session: str) -> list[Record]:
        """See `ports.Transcripts.load`."""
        return [*self.records.get(session, ())]

    def list(self) -> Sequence[InMemoryKept]:
        """See `ports.Transcripts.list`."""
        return [_kept(session, records) for session, records in reversed(self.records.items())]

    def delete(self, session: str) -> bool:
        """See `ports.Transcripts.delete`."""
        return self.records.pop(session, None) is not None


def _kept(session: str, records: Sequence[Record]) -> InMemoryKept:
    folder = next((str(r.get("folder", "")) for r in records if r.get("type") == "session"), "")
    return InMemoryKept(session, folder, title_of(records), "")


def title_of(records: Sequence[Record]) -> str:
    """The first line of the first prompt, as far as it fits. Pure."""
    for record in records:
        if record.get("type") != "prompt" or not isinstance(record.get("content"), list):
            continue
        for block in record["content"]:
            text = block.get("text") if isinstance(block, dict) else None
            if isinstance(text, str) and text.strip():
                return text.strip().splitlines()[0][:100]
    return ""
