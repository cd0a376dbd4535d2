"""The request's way up: its head with another credential, then its body as it comes. Pure.

Rules kept here:

* Head and what came of the body go in one write, over a connection that is taken only then: a
  head alone, whose body may never come, takes nothing of the upstream.
* What can't be sent yet is bounded: past that the client is not read from.
* Once means once: what the upstream may have begun on is never written again. Written again, over
  a new connection and one time, is only a request whose pooled connection ended before anything of
  an answer came, and of that only

  - one whose last byte had not been given to the connection: by its framing the upstream knows
    that it is incomplete, and must not act on it (RFC 9112, 8);
  - GET and HEAD, which ask for nothing to be done (RFC 9110, 9.2.1 and 9.2.2).

  A POST is a POST, whatever it asks for. What had not been written at all because its connection
  was found ended, or could not be made, has not been sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bailee.gateway.answers import LAST_CHUNK, chunk
from bailee.gateway.http1 import RequestHead, without
from bailee.gateway.phases import Do

UPSTREAM: Final = b"x-bailee-upstream"
"""The field by which an answer and a record say which of several upstreams it was."""
_UNSENT: Final = 256 * 1024  # read from a client while its upstream connection is being made
_SAFE: Final = frozenset({b"GET", b"HEAD"})


@dataclass(frozen=True, slots=True)
class Addressee:
    """What a request's head says of its upstream: `base` comes before every target. Of the
    credential: `fixed`, its header lines when they are the same for every request; `needs_body`,
    whether a request must be there whole to be signed; `replaces`, the client's header names that
    a signature would contradict. `name`: which of the operator's upstreams it is; `one_of_several`:
    there are others of this channel, so that who asked is told which it was.
    """

    base: bytes
    host_line: bytes
    fixed: bytes | None = b""
    needs_body: bool = False
    replaces: frozenset[bytes] = frozenset()
    name: str = ""
    one_of_several: bool = False

    @property
    def line(self) -> bytes:
        """The header line by which an answer says which upstream it was, where there are others."""
        return b"%b: %b\r\n" % (UPSTREAM, self.name.encode()) if self.one_of_several else b""


class Sending(IntEnum):
    """How far the request is."""

    COLLECTING = 0  # the body has to be there whole, to be signed
    SIGNING = 1  # the credential is being had
    READY = 2  # the head is there, and nothing of the body
    TAKING = 3  # a connection is being had
    OPEN = 4  # what comes goes over the connection
    CLOSED = 5  # nothing more goes up


_SIGN, _TAKE, _CONNECT, _RELEASE, _DROP = tuple(Do)[: Do.DROP + 1]
_PAUSE, _RESUME = Do.PAUSE_CLIENT, Do.RESUME_CLIENT
_COLLECTING, _SIGNING, _READY, _TAKING, _OPEN, _CLOSED = Sending


class Uplink:
    """One request's way up, owned by its exchange. It asks through `out`, and gives the bytes that
    are to be written; it knows no connection. `whole`: the last of the body has come. `full`: the
    upstream does not take what was written as fast as it came.
    """

    __slots__ = (
        "_addressee",
        "_began",
        "_body",
        "_head",
        "_lines",
        "_out",
        "_passthrough",
        "_paused",
        "_resend",
        "_target",
        "_unsent",
        "_unsent_size",
        "_written",
        "_written_size",
        "full",
        "governed",
        "sending",
        "whole",
    )

    def __init__(  # noqa: PLR0917
        self,
        head: RequestHead,
        target: bytes,
        addressee: Addressee,
        out: list[Do],
        passthrough: bool,
        resend: int,
        governed: bool = False,
    ) -> None:
        """`governed`: nothing of it goes before somebody has looked at the whole of it."""
        self._head = head
        self._target = target
        self._addressee = addressee
        self._out = out
        self._passthrough = passthrough  # the client's credentials are for the upstream
        self._resend = resend
        self._lines = head.credential_lines if passthrough else addressee.fixed
        self.governed = governed
        collects = governed or (self._lines is None and addressee.needs_body)
        self._body: list[bytes] | None = [] if collects else None  # when it is collected
        self._began = False  # whether anything of the body has come, or that there is none
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._written: list[bytes] | None = None  # while it may be written again
        self._written_size = 0
        self._paused = False  # whether the client is not read from, for the upstream's sake
        self.sending = _COLLECTING if collects else _SIGNING
        self.full = False
        self.whole = False

    @property
    def collects(self) -> bool:
        """Whether the whole body is held here before it goes."""
        return self.sending is _COLLECTING

    @property
    def fixed(self) -> bytes | None:
        """The credential's header lines, where they are known without asking."""
        return self._lines

    @property
    def to_sign(self) -> tuple[bytes, bytes, bytes]:
        """The method, the target as the upstream gets it, and what was collected of the body."""
        return self._head.method, self._addressee.base + self._target, b"".join(self._body or ())

    def turn_to(self, addressee: Addressee) -> None:
        """Goes to another upstream than was thought when it began. Nothing of it has gone up, and
        it is on the operator's credential: the client's own is for the first upstream alone.
        """
        assert self.governed and not self._passthrough
        self._addressee = addressee
        self._lines = addressee.fixed

    def begin(self) -> None:
        """Makes the head, once its credential is there."""
        if self._lines is not None and not self.governed:
            self.signed(self._lines)
        elif self.sending is _SIGNING:
            self._out.append(_SIGN)

    def send(self, payload: bytes, done: bool) -> bytes:
        """Takes more of the body, transfer coding removed; `done` with the last of it."""
        self.whole = done
        if self.sending is _COLLECTING:
            assert self._body is not None
            self._began = True
            if payload:
                self._body.append(payload)
            if done:
                self.sending = _SIGNING
                self._out.append(_SIGN)
            return b""
        if self._head.chunked:
            if payload:
                payload = chunk(payload)
            if done:
                payload += LAST_CHUNK
        if payload:
            payload = self._write(payload)
        elif not done:
            return b""  # who has sent nothing of it takes no connection
        if not self._began:
            self._began = True
            if self.sending is _READY:
                self._take()
        return payload

    def signed(self, lines: bytes) -> None:
        """The credential's header lines are there."""
        head, addressee = self._head, self._addressee
        kept = head.kept
        if addressee.replaces and not self._passthrough:
            kept = without(kept, addressee.replaces)
        framing = b"Transfer-Encoding: chunked\r\n" if head.chunked else b""
        if self._body is not None:
            body, self._body = b"".join(self._body), None
            if head.chunked:
                framing = b"Content-Length: %d\r\n" % len(body)
            if body:
                self._unsent = [body]
        raw = b"%b %b%b HTTP/1.1\r\n%b%b%b%b\r\n" % (
            head.method,
            addressee.base,
            self._target,
            addressee.host_line,
            kept,
            lines,
            framing,
        )
        self._unsent.insert(0, raw)
        self.sending = _READY
        if self._began:
            self._take()

    def connected(self, *, pooled: bool) -> bytes:
        """A connection is there; `pooled`: it has served before, and may have ended unseen."""
        self.sending = _OPEN
        if pooled:
            self._written = []
        unsent, self._unsent, self._unsent_size = self._unsent, [], 0
        if self._paused:
            self._paused = False
            self._out.append(_RESUME)
        return self._write(b"".join(unsent))

    def lost(self, *, again: bool) -> bool:
        """The connection ended before the answer did. Whether the request goes again; `again`
        says whether nothing but its own rules is against it.
        """
        written, self._written = self._written, None
        if written is None or not again:
            self.sending = _CLOSED
            return False
        self._unsent = written
        self.full = False
        self.sending = _TAKING
        self._out.append(_CONNECT)
        return True

    def fill(self, full: bool) -> None:
        """The upstream does not take what was written as fast as it came, or does again."""
        self.full = self._paused = full
        self._out.append(_PAUSE if full else _RESUME)

    def answered(self) -> None:
        """An answer has begun: the request is not sent again."""
        self._written = None

    def close(self) -> None:
        """The answer is there whole: what is still to come of the request is not wanted."""
        self.sending = _CLOSED
        self._out.append(_RELEASE)

    def drop(self) -> None:
        """The upstream is not wanted any more."""
        if self.sending in (_SIGNING, _TAKING, _OPEN):
            self._out.append(_DROP)
        self.sending = _CLOSED
        self._unsent = []

    # -- inside --------------------------------------------------------------------------------

    def _take(self) -> None:
        self.sending = _TAKING
        self._out.append(_TAKE)

    def _write(self, raw: bytes) -> bytes:
        if self.sending is _OPEN:
            if self._written is not None:
                self._note(self._written, raw)
            return raw
        if self.sending is not _CLOSED:
            self._unsent.append(raw)
            self._unsent_size += len(raw)
            if self._unsent_size > _UNSENT and not self._paused:
                self._paused = True
                self._out.append(_PAUSE)
        return b""

    def _note(self, written: list[bytes], raw: bytes) -> None:
        """Keeps what is being written, as long as it may be written again."""
        self._written_size += len(raw)
        whole = self.whole and self._head.method not in _SAFE
        if whole or self._written_size > self._resend:
            self._written = None
        else:
            written.append(raw)
