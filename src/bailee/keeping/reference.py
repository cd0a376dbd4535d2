"""A receipt's reference: its id and what only this home can add to it. Pure.

Whoever has it may see the receipt, without an account and for good: of who was erased nothing else
is left to ask with. An id alone won't do. It stands in the audit record and in proofs that are
shown to others. A reference can be told again whenever it is needed, and is kept nowhere.
"""

from __future__ import annotations

import hmac
from typing import Final

KEY: Final = "receipts/reference"
"""The keyring's named secret, 32 bytes."""

_BYTES: Final = 16


def reference(key: bytes, receipt_id: str) -> str:
    """The reference of a receipt, or of a person's erasure: safe in an address as it is."""
    said = b"bailee/receipt-reference/1\x00" + receipt_id.encode("utf-8", "surrogatepass")
    return f"{receipt_id}.{hmac.digest(key, said, 'sha256')[:_BYTES].hex()}"


def id_of(key: bytes, given: str) -> str | None:
    """The id that a reference is of; None: it is none of this home's."""
    receipt_id = given.rpartition(".")[0]
    both = (one.encode("utf-8", "surrogatepass") for one in (given, reference(key, receipt_id)))
    return receipt_id if hmac.compare_digest(*both) else None
