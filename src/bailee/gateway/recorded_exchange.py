"""One exchange that is kept: what passed is collected, and the answer's end waits for its record.

Rules kept here, besides those of `exchange`:

* It is recorded exactly once, however it ends (`phases.KEPT`). The end of its answer reaches the
  client only after that.
* What is held is counted to the shares of its account and key: of a request as it comes, of an
  answer when there are some KiB of it, and at its end. What it used is looked for then too: most of
  an event's time was bookkeeping.
* An answer past the bound ends with an error: a record may not lack its end.

Pure.
"""

from __future__ import annotations

from typing import ClassVar, Final

from bailee.admission import PIECE
from bailee.gateway.completion import hold_for
from bailee.gateway.exchange import Exchange
from bailee.gateway.failing import answer_too_long
from bailee.gateway.http1 import AnswerHead
from bailee.gateway.phases import (
    ANSWER,
    END,
    FAILING,
    KEPT,
    LAST,
    OVER,
    REST,
    STORED,
    UNSTORED,
    WHOLE,
    Do,
    Table,
)
from bailee.gateway.recording import Keeping, NotKept, not_recorded
from bailee.vault.exchange import CapturedExchange

_PAUSE, _RESUME, _UNRECORDED = Do.PAUSE_UPSTREAM, Do.RESUME_UPSTREAM, Do.UNRECORDED
_TOGETHER: Final = 4096  # bytes of an answer that are counted and looked at together


class RecordedExchange(Exchange):
    """An exchange whose `kept` is a `Keeping`. Its carrier owns it and tells it, on the gateway's
    thread, what happens; when it has said `Do.RECORD`, also what became of the record.
    """

    __slots__ = ()
    follows: ClassVar[Table] = KEPT

    @property
    def keeping(self) -> Keeping:
        """What is kept of it."""
        kept = self.kept
        assert isinstance(kept, Keeping)
        return kept

    def captured(self, ended: float) -> CapturedExchange:
        """The record, asked for by `Do.RECORD` and given once. `ended` is in Unix seconds. May be
        called on another thread: until `recorded`, nothing that it is made of changes.
        """
        answer = self._downlink.answer if self._downlink is not None else None
        return self._particulars.captured(self.keeping, answer, ended)

    def _hold(self, payload: bytes) -> bool:
        if self.phase > ANSWER:
            return super()._hold(payload)
        if not self._count(len(payload)):
            return False
        self.keeping.request.append(payload)
        return True

    def _begin_answer(self, head: AnswerHead) -> None:
        super()._begin_answer(head)
        self.keeping.hold = hold_for(head.content_type, head.content_encoding, self._route.api)

    def answer_data(self, payload: bytes, done: bool, now: float) -> None:
        """See `Exchange`. Passes on what may go, and has the record written at the end."""
        downlink, phase = self._downlink, self.phase
        if phase >= FAILING or downlink is None:
            return
        if phase is REST:
            super().answer_data(payload, done, now)
            return
        if done:
            self.uplink.close()
        keeping = self.keeping
        hold = keeping.hold
        assert hold is not None
        if phase is not ANSWER:
            self._after_last(payload)
            hold.feed(payload)  # it waits with what is held
            if done:
                self.phase = KEPT[phase][END]
            return
        keeping.answer.append(payload)
        keeping.unseen += len(payload) + PIECE
        if (done or keeping.unseen > _TOGETHER) and not self._settle():
            return
        free = hold.feed(payload)
        if free:
            self.down += downlink.send(free, False, now)
        elif downlink.live:
            self.down += downlink.send_head()
        if done:
            self.phase = KEPT[ANSWER][END]
            self._record()
        elif hold.final and self._settle():
            self.phase = KEPT[ANSWER][LAST]
            self._record()
            self.out.append(_PAUSE)

    def _after_last(self, payload: bytes) -> None:
        """Counts what came behind the last event, and is no part of the record."""
        self._particulars.bytes_out += len(payload)
        if self._particulars.meter is not None:
            self._particulars.meter.feed(payload)

    def _settle(self) -> bool:
        """Counts what has come of the answer, and looks at it. Whether there is room for it."""
        size = self._look()
        if self.keeping.answer_size > self._limits.max_answer:
            self.upstream_failed(answer_too_long())
            return False
        return not size or self._count(size - PIECE)

    def _look(self) -> int:
        """Looks at what has come of the answer; what that takes in memory."""
        keeping, particulars = self.keeping, self._particulars
        held, keeping.unseen = keeping.unseen, 0
        if held:
            pieces = keeping.answer[keeping.seen :]
            keeping.seen += len(pieces)
            size = held - len(pieces) * PIECE
            keeping.answer_size += size
            particulars.bytes_out += size
            if particulars.meter is not None:
                particulars.meter.feed(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return held

    def _record(self) -> None:
        """See `Exchange`. What was not looked at yet of an answer that breaks off is counted; it
        can't be refused any more.
        """
        if size := self._look():
            self._shares.take(self.held, size - PIECE)
        super()._record()

    def recorded(self, stored: bool, now: float) -> None:
        """The record is durable, or is known not to be."""
        was, happened = self.phase, STORED
        if not stored:
            self._particulars.terms = None
            self._particulars.not_kept = "recorder_failed"
            if self._failure is None:
                if self._must_record:
                    self._failure = not_recorded()
                    self.uplink.drop()
                    happened = UNSTORED
                else:
                    self.out.append(_UNRECORDED)
        self.phase = KEPT[was][happened]
        if self._failure is not None:
            self._end_with_error(self._failure)
            return
        if self._gone:
            self._finish()
            return
        downlink, hold = self._downlink, self.keeping.hold
        assert downlink is not None and hold is not None
        self.down += downlink.send(hold.rest(), was is WHOLE, now)
        if self.phase is OVER:
            self._finish(cut=was is not WHOLE)
        elif not self.waiting.full:
            self.out.append(_RESUME)

    def _may_ping(self) -> bool:
        hold = self.keeping.hold
        return super()._may_ping() and hold is not None and not hold.holding


def kind_of(kept: Keeping | NotKept) -> type[Exchange]:
    """Which of the two an exchange is."""
    return RecordedExchange if isinstance(kept, Keeping) else Exchange
