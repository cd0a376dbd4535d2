"""What an answer used, read from its bytes as they pass. Pure.

An answer says what it used in an object of its own, and which model answered in a member: both are
found by their names, in a stream as in a document, whatever stands around them.

Rules kept here:

* Counts alone: of an answer nothing is held but what has come since it was last looked at (up to
  `_TOGETHER` bytes and one read: a look costs the same for one event or many), what has the look
  of such an object, up to `_LONGEST` bytes, and the last bytes of a look, in which a name may have
  been cut. All of it goes with the exchange.
* Inside a JSON text a quotation mark is escaped, so the words of a conversation are not taken for
  an object of its API's. What is said last holds, as in every API.
* What a stream costs follows what came, in reads of whatever size. Nothing here raises: what is not
  understood is not counted.
* An answer that broke off, or does not say what it used, is counted by what has come: its bytes,
  without the frames of its events, four to a token, and a token for an event at the least.

Where it stands: Messages `message_start` and `message_delta`; Responses `response.completed`; Chat
Completions the last chunk; generateContent every chunk; Bedrock's frames as the API inside them.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bailee.api import Api
from bailee.apis.decoding import Decoder, decoder, pieces_within
from bailee.apis.events import frame_events
from bailee.apis.using import Tokens, counted
from bailee.vault.bounds import BeyondBound

_MARK: Final = b'"usage'
_BEGUN: Final = re.compile(rb'"usage(?:Metadata)?"\s{0,8}:\s{0,8}\{')
_OBJECT: Final = re.compile(
    rb'"usage(?:Metadata)?"\s{0,8}:\s{0,8}(\{[^{}]{0,4096}(?:\{[^{}]{0,1024}\}[^{}]{0,1024}){0,12}\})'
)
_MODEL: Final = re.compile(rb'"model(?:Version)?"\s{0,8}:\s{0,8}"([A-Za-z0-9._:/@ -]{1,100})"')
_LONGEST: Final = 8192  # bytes of an object of usage
_TOGETHER: Final = 4096  # bytes of an answer that are looked at together
_NAME: Final = b'"model'
_MOST_OBJECTS: Final = 4
_SHORTEST: Final = 8  # bytes: in fewer no object begins
_CUT: Final = 128  # bytes in which a name and a model may have been cut
_MODEL_WITHIN: Final = 64 << 10  # bytes of an answer in which its model is looked for
_MOST_DECODED: Final = 4 << 20  # what one read may unfold to and still be looked at
_LONGEST_FRAME: Final = 1 << 20
_TOKEN: Final = 4  # bytes of text, roughly
_FRAMES: Final = {
    Api.MESSAGES: 118,
    Api.CONVERSE: 60,
    Api.RESPONSES: 210,
    Api.CHAT: 220,
    Api.GEMINI: 320,
}
"""Bytes of an event of a stream that are not the model's."""
_AROUND: Final = 3  # events of a stream that are none of its text


class Metered(NamedTuple):
    """What an answer used. `estimated`: it did not say all of it. `model`: which answered, as it
    says; empty when it does not.
    """

    tokens: Tokens
    model: str
    estimated: bool


class AnswerMeter:
    """Reads one answer as it passes. Its exchange owns it, and shows it each piece on the gateway's
    thread. It holds no content and changes no byte.
    """

    __slots__ = (
        *("_api", "_come", "_events", "_held", "_model", "_said", "_size", "_stream", "_unseen"),
    )

    def __init__(self, api: Api, *, stream: bool) -> None:
        self._api = api
        self._stream = stream
        self._held = b""
        self._model = b""
        self._said: list[bytes] = []  # objects of usage, as they came
        self._size = self._events = 0
        self._come: list[bytes] = []  # and was not looked at
        self._unseen = 0  # bytes of it

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the answer."""
        self._come.append(data)
        self._unseen += len(data)
        if self._unseen > _TOGETHER:
            self._see()

    def _see(self) -> None:
        """Looks at what has come."""
        data = b"".join(self._come)
        self._come.clear()
        self._unseen = 0
        self._size += len(data)
        if self._stream:
            self._events += data.count(b"\n\n")
            if self._model and not self._held and _MARK not in data and data.endswith(b"\n\n"):
                return  # whole events
        if self._held:
            data = self._held + data
        if not self._model and (at := data.find(_NAME)) >= 0 and self._size <= _MODEL_WITHIN:
            found = _MODEL.search(data, at)
            if found is not None:
                self._model = found[1]
        at = data.find(_MARK)
        if at >= 0:
            self._held = self._look(data, at)
        else:  # no event goes on behind its end
            self._held = b"" if self._stream and data.endswith(b"\n\n") else data[-_CUT:]

    def _look(self, data: bytes, at: int) -> bytes:
        """Takes the objects that are whole, from the mark at `at` on; gives what may go on."""
        end = at
        while at >= 0:
            found = _OBJECT.match(data, at)
            if found is not None:
                end = found.end()
                self._said.append(found[1])
                if len(self._said) > _MOST_OBJECTS:
                    del self._said[1]  # the first has what a stream says once, the last the rest
            at = data.find(_MARK, max(end, at + 1))
        if end >= len(data) - _SHORTEST:
            return data[end:]
        begun = _BEGUN.search(data, end)
        if begun is not None and len(data) - begun.start() <= _LONGEST:
            return data[begun.start() :]
        return data[max(end, len(data) - _CUT) :]

    def found(self, *, complete: bool) -> Metered:
        """What it used; `complete`: the answer came to its end."""
        self._see()
        said = self._said
        used = counted(self._api, said)
        if said and complete:
            return Metered(used, self._model.decode("ascii"), False)
        if self._size:
            used = used._replace(output=max(used.output, self._estimate()))
        return Metered(used, self._model.decode("ascii"), bool(self._size))

    def _estimate(self) -> int:
        if not self._stream:
            return self._size // _TOKEN
        text = self._size - self._events * _FRAMES[self._api]
        return max(text // _TOKEN, self._events - _AROUND, 0)


class DecodedMeter(AnswerMeter):
    """The same of an answer in a content coding. What can't be decoded is not looked at further."""

    __slots__ = ("_decoder",)

    def __init__(self, api: Api, decode: Decoder, *, stream: bool) -> None:
        super().__init__(api, stream=stream)
        self._decoder: Decoder | None = decode

    def feed(self, data: bytes) -> None:
        """See `AnswerMeter.feed`."""
        if self._decoder is None or not data:
            return
        try:
            for piece in pieces_within(self._decoder, data, _MOST_DECODED):
                super().feed(piece)
        except (ValueError, BeyondBound):
            self._decoder = None


class FrameMeter(AnswerMeter):
    """The same of Bedrock's binary event stream. Its frames are read one by one."""

    __slots__ = ("_frame",)

    def __init__(self, api: Api) -> None:
        super().__init__(api, stream=True)
        self._frame: bytearray | None = bytearray()

    def feed(self, data: bytes) -> None:
        """See `AnswerMeter.feed`."""
        frame = self._frame
        if frame is None:
            return
        frame += data
        at = 0
        while len(frame) - at >= 16:
            total = int.from_bytes(frame[at : at + 4], "big")
            if not 16 <= total <= _LONGEST_FRAME:  # not what it says it is, or far too long
                self._frame = None
                return
            if len(frame) - at < total:
                break
            self._events += 1
            self._one(bytes(frame[at : at + total]))
            at += total
        del frame[:at]

    def _one(self, frame: bytes) -> None:
        try:
            for event, text in frame_events(frame):
                if event is not None:
                    super().feed(text)
        except BeyondBound:
            self._size += len(frame)


def meter_for(api: Api, content_type: bytes, content_encoding: bytes) -> AnswerMeter | None:
    """What reads an answer of this type (lower-case field values) in this API; None when its coding
    is not known.
    """
    if content_type == b"application/json" and not content_encoding:
        return AnswerMeter(api, stream=False)
    kind = content_type.partition(b";")[0].strip()
    if kind == b"application/vnd.amazon.eventstream":
        return FrameMeter(api)
    stream = kind == b"text/event-stream"
    if content_encoding in (b"", b"identity"):
        return AnswerMeter(api, stream=stream)
    decode = decoder(content_encoding)
    return None if decode is None else DecodedMeter(api, decode, stream=stream)
