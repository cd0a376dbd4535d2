"""What a batch of requests used, read from its results as they pass: JSON lines, one for each
request (Message Batches API). Pure.

Rules kept here:

* Counts alone: of a line nothing is held once it is read. One that is longer than `_LONGEST` is
  counted by its size, without what it says.
* A line that broke off says nothing, nor does one that is no result. An `errored` request is
  counted as one; of `canceled` and `expired` ones nothing was asked of a model.
* Memory is bounded: `_MOST_MODELS` models, and one line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from bailee.api import Api
from bailee.apis.decoding import Decoder, decoder, pieces_within
from bailee.apis.using import Tokens, counted
from bailee.vault.bounds import BeyondBound

_LONGEST: Final = 1 << 20  # bytes of a line
_MOST_MODELS: Final = 20
_MOST_DECODED: Final = 16 << 20  # what one read may unfold to and still be looked at
_TOKEN: Final = 4  # bytes of text, roughly
_MODEL: Final = re.compile(r"[A-Za-z0-9._:/@ -]{1,100}")


class ResultsOfModel(NamedTuple):
    """What a batch's requests to one model used. `model`: as the answers say it; empty for those
    without an answer. `estimated`: of so many what they say was not read.
    """

    model: str
    requests: int
    errors: int
    estimated: int
    tokens: Tokens


class BatchUse(NamedTuple):
    """What the results that passed say. `batch`: which it is, by an id of ours."""

    batch: str
    models: tuple[ResultsOfModel, ...]


class _Message(msgspec.Struct):
    model: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"")


class _Result(msgspec.Struct):
    type: str = ""
    message: _Message | None = None


class _Line(msgspec.Struct):
    result: _Result


_LINE: Final = msgspec.json.Decoder(_Line)


class BatchMeter:
    """Reads the results of one batch as they pass. Its exchange owns it, and shows it each piece on
    the gateway's thread. It holds no content but a line that goes on, and changes no byte.
    """

    __slots__ = ("_batch", "_decoder", "_line", "_long", "_lost", "_models")

    def __init__(self, batch: str, decode: Decoder | None = None) -> None:
        """`decode`: undoes the results' content coding, if they have one."""
        self._batch = batch
        self._decoder = decode
        self._lost = False  # its coding could not be undone
        self._line = bytearray()
        self._long = 0  # bytes of a line that is too long to be read, so far
        self._models: dict[str, ResultsOfModel] = {}

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the answer."""
        if self._lost or not data:
            return
        if self._decoder is None:
            self._take(data)
            return
        try:
            for piece in pieces_within(self._decoder, data, _MOST_DECODED):
                self._take(piece)
        except (ValueError, BeyondBound):
            self._lost = True

    def used(self, *, complete: bool) -> BatchUse | None:
        """What has passed; None: nothing that counts. `complete`: the answer came to its end, and
        so did its last line.
        """
        if complete:
            self._end()
        return BatchUse(self._batch, tuple(self._models.values())) if self._models else None

    def _take(self, data: bytes) -> None:
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            self._go_on(data[at:end])
            self._end()
            at = end + 1
        self._go_on(data[at:])

    def _go_on(self, piece: bytes) -> None:
        if self._long or len(self._line) + len(piece) > _LONGEST:
            self._long += len(self._line) + len(piece)
            self._line.clear()
        else:
            self._line += piece

    def _end(self) -> None:
        line, long = bytes(self._line), self._long
        self._line.clear()
        self._long = 0
        if long:
            self._add("", 0, 1, Tokens(output=long // _TOKEN))
            return
        try:
            result = _LINE.decode(line).result
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if result.type == "errored":
            self._add("", 1, 0, Tokens())
        elif result.type == "succeeded" and result.message is not None:
            message = result.message
            said = bytes(message.usage)
            used = counted(Api.MESSAGES, [said]) if said else Tokens()
            model = message.model if _MODEL.fullmatch(message.model) else ""
            self._add(model, 0, int(not said), used)

    def _add(self, model: str, errors: int, estimated: int, tokens: Tokens) -> None:
        if model not in self._models and len(self._models) >= _MOST_MODELS:
            model = next(reversed(self._models))
        was = self._models.get(model) or ResultsOfModel(model, 0, 0, 0, Tokens())
        sums = Tokens(*(one + other for one, other in zip(was.tokens, tokens, strict=True)))
        self._models[model] = ResultsOfModel(
            model, was.requests + 1, was.errors + errors, was.estimated + estimated, sums
        )


def batch_meter(batch: str, content_encoding: bytes) -> BatchMeter | None:
    """What reads the results of a batch; None when their coding (lower case) is not known."""
    if content_encoding in (b"", b"identity"):
        return BatchMeter(batch)
    decode = decoder(content_encoding)
    return None if decode is None else BatchMeter(batch, decode)
