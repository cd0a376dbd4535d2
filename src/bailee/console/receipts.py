"""A receipt as a page in plain words, and its files, for whoever has its reference.

Rules kept here:

* The reference in the address is what opens it, whoever asks: who was erased has nothing else. An
  address with a wrong one, or an id alone, is one that there is not.
* The page says what the receipt shows, and what it does not.

Rows: P4, R5, R6.
"""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import Response

from bailee.accounts import Actor
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.ledger.tlog.proofs import SUFFIX
from bailee.operations import receipts
from bailee.operations.asks import Via, asked_by
from bailee.operations.operation import Given, Operation, Result

_NOBODY: Final = Actor()


class ReceiptPages:
    """The handlers of receipts, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests, and does not ask who comes: the
    reference opens a receipt.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """How far it has come, what is left, what this shows."""
        shown = self._do(ask, receipts.show, ask.path["reference"])
        return self._frame.page(
            ask,
            "receipt.html",
            shown=shown,
            said=shown.signed["receipt"],
            key=self._parts.node.sequencer.keys[0].text,
        )

    def proof(self, ask: Ask) -> Response:
        """The proof of its latest step, or of the one in the query, as a file."""
        step = ask.query.get("step") or None
        found = self._do(ask, receipts.proof, ask.path["reference"], step)
        return _file(found.proof.encode(), f"receipt{SUFFIX}", "text/plain")

    def signed(self, ask: Ask) -> Response:
        """The receipt as the home signs it, as a file."""
        shown = self._do(ask, receipts.show, ask.path["reference"])
        content = orjson.dumps(shown.signed, option=orjson.OPT_INDENT_2)
        return _file(content, "receipt.json", "application/json")

    def _do(
        self,
        ask: Ask,
        operation: Operation[Given, Result],
        /,
        *args: Given.args,
        **given: Given.kwargs,
    ) -> Result:
        node = self._parts.node
        try:
            return operation(asked_by(node, _NOBODY, Via.PAGE), node, *args, **given)
        except InputError as error:
            raise InputError(ask.words("receipts.unknown"), code="not_found") from error


def _file(content: bytes, name: str, kind: str) -> Response:
    told = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=told)
