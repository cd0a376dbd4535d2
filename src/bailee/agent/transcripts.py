"""Transcripts that last as long as the process: for tests, and for those who keep none."""

from __future__ import annotations

from collections.abc import Sequence

from bailee.agent.ports import Record
from bailee.json_values import objects, text
from bailee.records import dataclass


@dataclass(frozen=True, slots=True)
class InMemoryKept:
    """See `ports.ResumableSession`."""

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
        if record.get("type") != "prompt":
            continue
        for block in objects(record.get("content")):
            if said := text(block.get("text")).strip():
                return said.splitlines()[0][:100]
    return ""
