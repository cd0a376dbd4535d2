"""A streamed answer put together into the document that it stands for: what all APIs share. Pure.

Rules kept here:

* A document is whole when it is the one that the vendor's SDK makes of the same events, with all
  that they said. Of what is not understood it is noted that it was there, and who asks keeps the
  bytes. What is understood beside it is in the document all the same.
* What the events leave in the document is bounded by one budget of JSON values (`bounds.VALUES`);
  pieces of text are bounded by the answer's size alone. Every step costs what the event is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bailee.apis.events import Event, values_in
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.packing import JSON

OVERHEAD: Final = 5
"""Values that are put around an event."""
NEW_TEXT: Final = 3
"""Values that a text costs which was not there yet."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """What came of a stream. `whole`: document and error are all that it said. `values`: a number
    of JSON values that they do not exceed.
    """

    document: JSON
    error: JSON
    whole: bool
    values: int


class Assembly:
    """A document being assembled from events, one call of `take` for each, in order, then `end`.
    Used by one thread, once. It drops nothing without a mark: what it takes otherwise than the SDK
    does, or not at all, makes it less than `whole`. `stopped`: the stream came to its end.
    """

    def __init__(self) -> None:
        self.document: dict[str, JSON] | None = None
        self.error: JSON = None
        self.whole = True
        self.stopped = False
        self.values = 0
        self._held: dict[str, int] = {}
        self._latest = (b"", 0)  # an event's text, and its values: they are counted once
        self._charged: bytes | None = None

    def take(self, event: JSON, text: bytes) -> None:
        """One event, and its text.

        Raises:
            BeyondBound: the document would have too many values.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Puts together what came in pieces.

        Raises:
            BeyondBound: as `take`.
        """

    def expect(self, it_is_so: bool) -> None:
        """Less than whole, unless it is so."""
        if not it_is_so:
            self.whole = False

    def spend(self, values: int) -> None:
        """So many more values are in the document.

        Raises:
            BeyondBound: they are too many.
        """
        self.values += values
        if self.values > bounds.VALUES:
            raise BeyondBound(Beyond.VALUES)

    def spend_event(self, text: bytes) -> None:
        """Something of an event is kept: it costs what the event has, once.

        Raises:
            BeyondBound: that is too much.
        """
        if self._charged is not text:
            self._charged = text
            self.spend(OVERHEAD + self._values_of(text))

    def spend_on(self, name: str, text: bytes) -> None:
        """What `text` has is kept in place of what was kept under this name.

        Raises:
            BeyondBound: they are too many.
        """
        values = OVERHEAD + self._values_of(text)
        before, self._held[name] = self._held.get(name, 0), values
        self.spend(values - before)

    def _values_of(self, text: bytes) -> int:
        if self._latest[0] is not text:
            self._latest = (text, values_in(text))
        return self._latest[1]

    def put(self, into: dict[str, JSON], said: Mapping[str, JSON], latest: frozenset[str]) -> None:
        """Members that are said once, or the same again; of those in `latest` the last counts."""
        for name, value in said.items():
            known = into.get(name)
            if known is None or name in latest:
                if value is not None or name not in into:
                    into[name] = value
            else:
                self.expect(value is None or value == known)


def assemble(build: Assembly, events: Iterator[Event]) -> Assembled:
    """What `build` makes of the events.

    Raises:
        BeyondBound: document and error would have more values than `bounds.VALUES`, or as `events`.
    """
    for event, text in events:
        build.take(event, text)
    build.end()
    whole = build.whole and (build.stopped or build.error is not None)
    return Assembled(build.document, build.error, whole, build.values)
