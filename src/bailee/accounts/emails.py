"""Email addresses: how one is written the same way always. Pure.

An address is a name here, to find a person by: nothing is sent to it. So only what can't be an
address at all is refused, and case is not told apart, in the part before the `@` neither.
"""

from __future__ import annotations

import unicodedata

from bailee.errors import InputError
from bailee.shown import is_plain

_LONGEST = 254  # RFC 5321, section 4.5.3.1.3


def normal(email: str) -> str:
    """The address in its normal form.

    >>> normal(" Ada@Example.ORG ")
    'ada@example.org'

    Raises:
        InputError: it is not an address. The message does not repeat it.
    """
    text = unicodedata.normalize("NFC", email.strip()).lower()
    local, at, domain = text.rpartition("@")
    if (
        not (local and at and domain)
        or len(text) > _LONGEST
        or "@" in local
        or any(c.isspace() or unicodedata.category(c).startswith("C") for c in text)
        or not is_plain(text)
        or domain.startswith(".")
        or domain.endswith(".")
    ):
        raise InputError("that is not an email address.", hint="write it like ada@example.org")
    return text


def domain_of(email: str) -> str:
    """The part behind the `@` of an address in its normal form."""
    return email.rpartition("@")[2]
