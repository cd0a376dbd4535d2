"""What can be asked of a home about a person's data: a copy of all of it, and its erasure.

A person asks for themselves (`key` or `cookie`, and then `id` may be left out); the operator for
anyone, by `id`: a person's id or email, or the id of an account that no person has.

Rows: R6.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bailee.accounts import Actor
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.keyring import signing
from bailee.node.erasing import Erasure
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, due, moment, require
from bailee.operations.exporting import export

_PIECE: Final = 48 << 10


def _person_export(node: Node, arguments: Arguments) -> Iterator[object]:
    """Items: `{"data": base64}` pieces of a ZIP archive, and `{"done": n, "of": n}` in between."""
    by = arguments.by
    told: list[dict[str, int]] = []
    pieces = export(
        node,
        _whom(arguments, by),
        moment(node, arguments),
        by=by,
        progress=lambda done, of: told.append({"done": done, "of": of}),
    )
    return _items(pieces, told)


def _items(pieces: Iterator[bytes], told: list[dict[str, int]]) -> Iterator[object]:
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            yield {"data": base64.b64encode(piece[start : start + _PIECE]).decode()}
        yield from told
        told.clear()


def _person_erase(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    erasure = node.erasures.request(_whom(arguments, by), due(node, arguments), by=by)
    return erasure_view(erasure)


def _receipts_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.PERSON_CREATE)
    return [erasure_view(erasure) for erasure in node.erasures.all()]


def _receipts_key(node: Node, _arguments: Arguments) -> object:
    key = signing.public_key(node.keyring.secret(signing.NAME))
    return {"public_key": key, "fingerprint": signing.fingerprint(key)}


def erasure_view(erasure: Erasure) -> dict[str, object]:
    """An erasure with its signed receipt."""
    return {
        "erasure": erasure.id,
        "subject": erasure.person_id,
        "account": erasure.account_id,
        "state": erasure.state,
        "requested": erasure.requested_at.isoformat(),
        "requested_by": erasure.requested_by,
        "finished": erasure.finished_at and erasure.finished_at.isoformat(),
        "signed": erasure.receipt,
    }


def _whom(arguments: Arguments, by: Actor) -> str:
    named = arguments.get("id")
    if isinstance(named, str):
        return named
    own = by.person_id or by.account_id
    if own is None:
        raise InputError("whose data is meant?", hint="give a person's id or email")
    return own


ERASURE: Final[Mapping[str, Callable[[Node, Arguments], Iterator[object] | object]]] = {
    "person.export": _person_export,
    "person.erase": _person_erase,
    "receipts.list": _receipts_list,
    "receipts.key": _receipts_key,
}
